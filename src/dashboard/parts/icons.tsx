/** Small pictures. Text beside them says what they mean, so they are hidden from screen readers. */
import type { ComponentChildren } from 'preact';
import type { Device } from '../../protocol/stream.ts';

function Icon({ children }: { children: ComponentChildren }) {
  return (
    <svg
      class="icon"
      viewBox="0 0 24 24"
      aria-hidden="true"
      fill="none"
      stroke="currentColor"
      stroke-width="1.8"
      stroke-linecap="round"
      stroke-linejoin="round"
    >
      {children}
    </svg>
  );
}

export function Logo() {
  return (
    <svg class="logo" viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="9" fill="var(--accent)" />
      <path d="M10 7l13 9.5-6 1.2-2.8 5.8z" fill="var(--on-accent)" />
    </svg>
  );
}

export function DeviceIcon({ device }: { device: Device }) {
  return <Icon>{DEVICES[device]}</Icon>;
}

const DEVICES: Record<Device, ComponentChildren> = {
  phone: <path d="M8 3h8a1 1 0 0 1 1 1v16a1 1 0 0 1-1 1H8a1 1 0 0 1-1-1V4a1 1 0 0 1 1-1zM11 18h2" />,
  tablet: <path d="M6 3h12a1 1 0 0 1 1 1v16a1 1 0 0 1-1 1H6a1 1 0 0 1-1-1V4a1 1 0 0 1 1-1zM11 18h2" />,
  desktop: <path d="M4 5h16v11H4zM9 20h6M12 16v4" />,
  wide: <path d="M2 6h20v10H2zM8 20h8M12 16v4" />,
  unknown: <path d="M5 6h14v12H5zM8 10l2 2-2 2M12 14h4" />,
};

export function GearIcon() {
  return (
    <Icon>
      <circle cx="12" cy="12" r="3" />
      <path d="M12 3v3M12 18v3M3 12h3M18 12h3M5.6 5.6l2.2 2.2M16.2 16.2l2.2 2.2M5.6 18.4l2.2-2.2M16.2 7.8l2.2-2.2" />
    </Icon>
  );
}

export function ThemeIcon({ dark }: { dark: boolean }) {
  return (
    <Icon>
      {dark ? (
        <path d="M20 14.5A8 8 0 0 1 9.5 4 8 8 0 1 0 20 14.5z" />
      ) : (
        <>
          <circle cx="12" cy="12" r="4" />
          <path d="M12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.4 1.4M17.6 17.6 19 19M5 19l1.4-1.4M17.6 6.4 19 5" />
        </>
      )}
    </Icon>
  );
}

export function CloseIcon() {
  return (
    <Icon>
      <path d="M6 6l12 12M18 6 6 18" />
    </Icon>
  );
}

export function CheckIcon() {
  return (
    <Icon>
      <path d="M5 12.5l4.5 4.5L19 7.5" />
    </Icon>
  );
}
