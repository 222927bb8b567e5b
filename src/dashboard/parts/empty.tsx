import { site, sites } from '../state.ts';
import { PasteSnippet } from './snippet.tsx';

/** What to do while nobody is here. */
export function Empty() {
  const key = site.value;
  if (key === null) return null;
  const name = sites.value.find((one) => one.key === key)?.name ?? key;
  return (
    <div class="empty">
      <div class="mice" aria-hidden="true" />
      <h3>Nobody is here yet</h3>
      {key === 'demo' ? (
        <p>
          <a class="button" href="/" target="_blank" rel="noreferrer">
            Open the demo page
          </a>{' '}
          in another window, move the mouse there, and watch it here.
        </p>
      ) : (
        <p>The first visitor of {name} shows here the moment it arrives.</p>
      )}
      <PasteSnippet site={key}>To see the visitors of your own pages, paste</PasteSnippet>
    </div>
  );
}
