import { useRef, useState } from 'preact/hooks';
import { isOwner } from '../shell/session.ts';
import { server } from '../shell/sites.ts';
import { isLocalHost, policyFor } from './snippet-advice.ts';

/** The line to paste into a site's pages, with a button to copy it. */
export function Snippet({ site }: { site: string }) {
  const path = server.value?.scriptPath ?? '/fieldmouse.js';
  return (
    <Copyable text={`<script defer src="${location.origin}${path}" data-site="${site}"></script>`} label="Snippet" />
  );
}

/** A warning if snippets that are copied here do not work on public sites. */
export function LocalHostNote() {
  if (!isLocalHost(location.hostname))
    return location.protocol === 'http:' ? (
      <p class="muted">
        You opened this dashboard over http, so the snippet has an http address, which pages on https block. Open the
        dashboard over https, and copy the snippet there.
      </p>
    ) : null;
  return (
    <p class="muted">
      You opened this dashboard at {location.origin}, which visitors of a public site cannot reach. For such a site,
      open the dashboard at the public address of this server, and copy the snippet there.
    </p>
  );
}

/** What a page's Content Security Policy must allow. */
export function PolicySources() {
  return (
    <details class="policy">
      <summary>My pages send a Content Security Policy</summary>
      <p class="muted">Add these sources to its directives:</p>
      <Copyable text={policyFor(location)} label="Content Security Policy" />
    </details>
  );
}

/** The snippet and where to paste it, for owners only. `children` starts the sentence: "To do this, paste". */
export function PasteSnippet({ site, children }: { site: string; children: string }) {
  if (!isOwner.value) return null;
  return (
    <>
      <p class="muted">{children} this before &lt;/head&gt;:</p>
      <Snippet site={site} />
    </>
  );
}

/**
 * A text with a button to copy it. Without access to the clipboard, the text is selected, to be copied with the
 * keyboard.
 */
export function Copyable({ text, label }: { text: string; label: string }) {
  const code = useRef<HTMLElement>(null);
  const [message, setMessage] = useState('');
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      setMessage('Copied');
    } catch {
      getSelection()?.selectAllChildren(code.current as HTMLElement);
      setMessage('Selected: press Ctrl+C');
    }
    setTimeout(() => setMessage(''), 3000);
  };
  return (
    <div class="copyable">
      <code ref={code}>{text}</code>
      <button type="button" class="small" aria-label={`Copy: ${label}`} onClick={() => void copy()}>
        {message || 'Copy'}
      </button>
      <span class="unseen" role="status">
        {message}
      </span>
    </div>
  );
}
