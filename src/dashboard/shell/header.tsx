import type { ComponentChildren, JSX } from 'preact';
import { DASHBOARD_PAGES, type Section } from '../../model/dashboard-page.ts';
import { rewind } from '../live/live-signals.ts';
import { CountsIcon, GearIcon, HeatIcon, LiveIcon, Logo, ThemeIcon, VisitsIcon } from '../ui/icons.tsx';
import { address, route } from './route.ts';
import { chosenSite, linkedSite, showSite, sites } from './sites.ts';
import { Status } from './status.tsx';
import { THEMES, theme } from './theme.ts';

/** The links to the sections, in their order. */
const LINKS: readonly [section: Section, label: string, Icon: () => JSX.Element][] = [
  ['live', 'Live', LiveIcon],
  ['visits', 'Visits', VisitsIcon],
  ['pages', 'Pages', CountsIcon],
  ['heatmap', 'Heatmap', HeatIcon],
];

export function Header() {
  const page = route.value && DASHBOARD_PAGES[route.value.name];
  return (
    <header class="top">
      <SectionLink section="live" className="home">
        <Logo />
        <span>Fieldmouse</span>
      </SectionLink>
      {page?.hasSite && <SiteChooser />}
      {page?.section === 'live' && !rewind.value && <Status />}
      <nav aria-label="Dashboard">
        {LINKS.map(([section, label, Icon]) => (
          <SectionLink key={section} section={section}>
            <Icon />
            <span>{label}</span>
          </SectionLink>
        ))}
        <ThemeButton />
        <SectionLink section="settings">
          <GearIcon />
          <span>Settings</span>
        </SectionLink>
      </nav>
    </header>
  );
}

interface SectionLinkProps {
  section: Section;
  className?: string;
  children: ComponentChildren;
}

/** Leads to the main page of a section, and keeps the site if there are several. */
function SectionLink({ section, className: look = 'quiet', children }: SectionLinkProps) {
  const isCurrent = route.value && DASHBOARD_PAGES[route.value.name].section === section;
  return (
    <a
      class={look}
      href={address(DASHBOARD_PAGES[section].path, { site: linkedSite.value })}
      aria-current={isCurrent ? 'page' : undefined}
    >
      {children}
    </a>
  );
}

function SiteChooser() {
  const list = sites.value;
  const key = chosenSite.value;
  if (list.length === 0) return null;
  if (list.length === 1) return <span class="site">{list[0]?.name}</span>;
  return (
    <select
      class="site"
      aria-label="Site"
      data-site={key}
      value={key ?? ''}
      onChange={(event) => showSite(event.currentTarget.value)}
    >
      {list.map((one) => (
        <option key={one.key} value={one.key}>
          {one.name}
        </option>
      ))}
    </select>
  );
}

/** Switches to the next theme. */
function ThemeButton() {
  const at = THEMES.indexOf(theme.value);
  const dark =
    theme.value === 'dark' || (theme.value === 'system' && matchMedia('(prefers-color-scheme: dark)').matches);
  return (
    <button
      type="button"
      class="quiet"
      title={`Theme: ${theme.value}`}
      aria-label={`Theme: ${theme.value}. Change`}
      onClick={() => {
        theme.value = THEMES[(at + 1) % THEMES.length] ?? 'system';
      }}
    >
      <ThemeIcon dark={dark} />
    </button>
  );
}
