/** In the place of what could not be loaded. */
export function Failed({ text, retry }: { text: string; retry: () => void }) {
  return (
    <div class="failed" role="alert">
      <p>{text}</p>
      <button type="button" class="primary" onClick={retry}>
        Try again
      </button>
    </div>
  );
}
