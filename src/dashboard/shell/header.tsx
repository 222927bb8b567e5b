import type { ComponentChildren } from 'preact';
import { CountsIcon, GearIcon, HeatIcon, LiveIcon, Logo, ThemeIcon, VisitsIcon } from '../ui/icons.tsx';
import { address, type Route, route } from './route.ts';
import { chosenSite, rewind, showSite, sites } from './state.ts';
import { Status } from './status.tsx';
import { THEMES, theme } from './theme.ts';

/** Pages that are of one site. */
const OF_SITE = new Set<Route['page']>(['live', 'visits', 'visit', 'pages', 'heatmap']);

export function Header() {
  const { page } = route.value;
  return (
    <header class="top">
      <Place path="/admin" here={page === 'live'} look="home">
        <Logo />
        <span>Fieldmouse</span>
      </Place>
      {OF_SITE.has(page) && <SiteChooser />}
      {page === 'live' && !rewind.value && <Status />}
      <nav aria-label="Dashboard">
        <Place path="/admin" here={page === 'live'}>
          <LiveIcon />
          <span>Live</span>
        </Place>
        <Place path="/admin/visits" here={page === 'visits' || page === 'visit'}>
          <VisitsIcon />
          <span>Visits</span>
        </Place>
        <Place path="/admin/pages" here={page === 'pages'}>
          <CountsIcon />
          <span>Pages</span>
        </Place>
        <Place path="/admin/heatmap" here={page === 'heatmap'}>
          <HeatIcon />
          <span>Heatmap</span>
        </Place>
        <ThemeButton />
        <Place path="/admin/settings" here={page === 'settings' || page === 'audit'}>
          <GearIcon />
          <span>Settings</span>
        </Place>
      </nav>
    </header>
  );
}

interface PlaceProps {
  path: string;
  here: boolean;
  look?: string;
  children: ComponentChildren;
}

/** Leads to a page, and keeps the site where there are several. */
function Place({ path, here, look = 'quiet', children }: PlaceProps) {
  const site = sites.value.length > 1 ? chosenSite.value : null;
  return (
    <a class={look} href={address(path, { site })} aria-current={here ? 'page' : undefined}>
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

/** Steps through the themes. */
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
