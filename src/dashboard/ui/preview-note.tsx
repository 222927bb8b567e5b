import type { ShownPage } from './use-preview.ts';

/** If a page is wanted but may not be visible, says why and what to do. */
export function PreviewNote({ preview }: { preview: ShownPage | undefined }) {
  if (!preview?.wanted || (preview.framing !== 'unknown' && preview.framing !== 'refused')) return null;
  return (
    <div class="bar preview-note" data-framing={preview.framing}>
      {preview.framing === 'refused' ? <FramingRefused {...preview} /> : <FramingQuestion {...preview} />}
    </div>
  );
}

/** Scripts cannot detect whether the frame shows the page, so the person is asked. */
function FramingQuestion({ origin, settle }: ShownPage) {
  return (
    <>
      <p class="preview-word">
        Is the area below grey? Then <b>{origin}</b> does not allow its pages in a frame, or this browser cannot reach
        it.
      </p>
      <button type="button" class="small" onClick={() => settle('refused')}>
        It is grey: hide it
      </button>
      <button type="button" class="small" onClick={() => settle('shown')}>
        I see the page
      </button>
      <FramingHelp />
    </>
  );
}

function FramingRefused({ origin, settle }: ShownPage) {
  return (
    <>
      <p class="preview-word" role="status">
        <b>{origin}</b> does not allow its pages in a frame (frame-ancestors or X-Frame-Options). The page is hidden.
      </p>
      {origin !== location.origin && (
        <button type="button" class="small" onClick={() => settle('unknown')}>
          Retry
        </button>
      )}
      <FramingHelp />
    </>
  );
}

function FramingHelp() {
  return (
    <details>
      <summary>How to allow it</summary>
      <div class="remedy">
        <p>
          Add this header to the site’s pages. It overrides <code>X-Frame-Options</code>:
        </p>
        <code>Content-Security-Policy: frame-ancestors 'self' {location.origin}</code>
        <p class="muted">See docs/dashboard.md, “Pages that may not be framed”.</p>
      </div>
    </details>
  );
}
