import type { ShownPage } from './use-preview.ts';

/** Says why there may be no page to see where it is wanted, and what can be done. */
export function PreviewNote({ preview }: { preview: ShownPage | undefined }) {
  if (!preview?.wanted || (preview.framing !== 'unknown' && preview.framing !== 'refused')) return null;
  return (
    <div class="bar preview-note" data-framing={preview.framing}>
      {preview.framing === 'refused' ? <Refused {...preview} /> : <Doubt {...preview} />}
    </div>
  );
}

/** No script can tell, so who looks is asked. */
function Doubt({ origin, settle }: ShownPage) {
  return (
    <>
      <p class="preview-word">
        Only grey below? Then <b>{origin}</b> does not let its pages be shown here, or cannot be reached from here.
      </p>
      <button type="button" class="small" onClick={() => settle('refused')}>
        Only grey: leave it out
      </button>
      <button type="button" class="small" onClick={() => settle('shown')}>
        I see the page
      </button>
      <Remedy />
    </>
  );
}

function Refused({ origin, settle }: ShownPage) {
  return (
    <>
      <p class="preview-word" role="status">
        <b>{origin}</b> does not let its pages be shown here (frame-ancestors or X-Frame-Options). The stage goes on
        without.
      </p>
      {origin !== location.origin && (
        <button type="button" class="small" onClick={() => settle('unknown')}>
          Try again
        </button>
      )}
      <Remedy />
    </>
  );
}

function Remedy() {
  return (
    <details>
      <summary>What its owner can do</summary>
      <div class="remedy">
        <p>
          Have the site answer with this header, which outdoes <code>X-Frame-Options</code>:
        </p>
        <code>Content-Security-Policy: frame-ancestors 'self' {location.origin}</code>
        <p class="muted">More in docs/dashboard.md, “Pages that may not be framed”.</p>
      </div>
    </details>
  );
}
