import { isOwner } from '../shell/session.ts';

export function NoSites() {
  return (
    <main class="gate">
      <div class="card gate-card">
        <h1>No sites yet</h1>
        {isOwner.value ? (
          <>
            <p>Add a site to see its visitors here.</p>
            <a class="button" href="/admin/settings">
              Add a site
            </a>
          </>
        ) : (
          <p>You do not have access to any site yet. Ask an owner of this server.</p>
        )}
      </div>
    </main>
  );
}
