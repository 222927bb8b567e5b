/** In the place of a page that there is not; missing.html is the same of the server. */
export function Missing() {
  return (
    <main class="gate">
      <div class="card gate-card">
        <div class="mice" aria-hidden="true" />
        <h1>No such page</h1>
        <p>There is nothing at this address. Perhaps it was mistyped, or is of something that was removed.</p>
        <a class="button primary" href="/admin">
          To the dashboard
        </a>
      </div>
    </main>
  );
}
