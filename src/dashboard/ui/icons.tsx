/** Icons. The text beside them has their meaning, so they are hidden from screen readers. */
import type { ComponentChildren } from 'preact';
import type { Device } from '../../model/visitor.ts';

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

export function LiveIcon() {
  return (
    <Icon>
      <circle cx="12" cy="12" r="2" />
      <path d="M7.8 16.2a6 6 0 0 1 0-8.4M16.2 7.8a6 6 0 0 1 0 8.4M4.9 19.1a10 10 0 0 1 0-14.2M19.1 4.9a10 10 0 0 1 0 14.2" />
    </Icon>
  );
}

export function VisitsIcon() {
  return (
    <Icon>
      <circle cx="9" cy="8" r="3.5" />
      <path d="M3 20c0-3.6 2.7-6 6-6s6 2.4 6 6M16 5a3.5 3.5 0 0 1 0 6.5M18 14.8c1.9.9 3 2.8 3 5.2" />
    </Icon>
  );
}

export function CountsIcon() {
  return (
    <Icon>
      <path d="M4 20h16M6.5 20v-7M12 20V5M17.5 20v-10" />
    </Icon>
  );
}

export function HeatIcon() {
  return (
    <Icon>
      <path d="M12 3c.5 3.5 5.5 5.6 5.5 11a5.5 5.5 0 0 1-11 0c0-2.3 1.2-3.8 2.3-5 .3 1.5 1 2.2 1.7 2.500C10.2 8.5 10.7 5.5 12 3z" />
    </Icon>
  );
}

export function PlayIcon() {
  return (
    <Icon>
      <path d="M7 4.500v15l12-7.500z" fill="currentColor" />
    </Icon>
  );
}

export function PauseIcon() {
  return (
    <Icon>
      <path d="M8 5v14M16 5v14" stroke-width="3.5" />
    </Icon>
  );
}

export function AgainIcon() {
  return (
    <Icon>
      <path d="M4.5 12a7.5 7.5 0 1 0 2.6-5.700M4.5 4v4.500H9" />
    </Icon>
  );
}

export function RewindIcon() {
  return (
    <Icon>
      <path d="M3.5 12a8.5 8.5 0 1 0 2.7-6.200L3.5 8M3.5 3.500V8H8M12 7.500V12l3 2" />
    </Icon>
  );
}

export function BinIcon() {
  return (
    <Icon>
      <path d="M4 7h16M9 7V4h6v3M6.5 7l1 13h9l1-13M10 11v5M14 11v5" />
    </Icon>
  );
}
