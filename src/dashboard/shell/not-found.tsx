/** Shown for an address without a page. The server sends the same as missing.html. */
export function NotFound() {
  return (
    <main class="gate">
      <div class="card gate-card">
        <div class="mice" aria-hidden="true" />
        <h1>Page not found</h1>
        <p>The address may be mistyped, or the page was removed.</p>
        <a class="button primary" href="/admin">
          Go to the dashboard
        </a>
      </div>
    </main>
  );
}
