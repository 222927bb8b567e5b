import { isOwner } from '../state.ts';

export function NoSites() {
  return (
    <main class="gate">
      <div class="card gate-card">
        <h1>No site yet</h1>
        {isOwner.value ? (
          <>
            <p>Add your site first; then its visitors show here.</p>
            <a class="button" href="/admin/settings">
              Add a site
            </a>
          </>
        ) : (
          <p>No site was given to you yet. Ask an owner of this server.</p>
        )}
      </div>
    </main>
  );
}
