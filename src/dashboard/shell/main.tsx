/** Entry point of the dashboard. */
import { render } from 'preact';
import { App } from './app.tsx';
import { mountLinks } from './base.ts';
import { startRoute } from './route.ts';
import { startTheme } from './theme.ts';

mountLinks();
startTheme();
startRoute();
render(<App />, document.getElementById('app') as HTMLElement);
