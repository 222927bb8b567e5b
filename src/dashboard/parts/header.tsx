import { route } from '../route.ts';
import { showSite, site, sites } from '../state.ts';
import { THEMES, theme } from '../theme.ts';
import { GearIcon, Logo, ThemeIcon } from './icons.tsx';
import { Status } from './status.tsx';

export function Header() {
  const live = route.value.page === 'live';
  return (
    <header class="top">
      <a class="home" href="/admin" aria-current={live ? 'page' : undefined}>
        <Logo />
        <span>Fieldmouse</span>
      </a>
      {live && <SiteChooser />}
      {live && <Status />}
      <nav aria-label="Dashboard">
        <ThemeButton />
        <a class="quiet" href="/admin/settings" aria-current={route.value.page === 'settings' ? 'page' : undefined}>
          <GearIcon />
          <span>Settings</span>
        </a>
      </nav>
    </header>
  );
}

function SiteChooser() {
  const list = sites.value;
  if (list.length === 0) return null;
  if (list.length === 1) return <span class="site">{list[0]?.name}</span>;
  return (
    <select
      class="site"
      aria-label="Site"
      data-site={site.value}
      value={site.value ?? ''}
      onChange={(event) => showSite(event.currentTarget.value)}
    >
      {list.map(({ key, name }) => (
        <option key={key} value={key}>
          {name}
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
