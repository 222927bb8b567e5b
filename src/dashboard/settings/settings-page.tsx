import { useEffect } from 'preact/hooks';
import { isOwner } from '../shell/session.ts';
import { server } from '../shell/sites.ts';
import { Account } from './account.tsx';
import { Appearance } from './appearance.tsx';
import { People } from './people.tsx';
import { SignIns } from './sign-ins.tsx';
import { Sites } from './sites.tsx';
import { Tokens } from './tokens.tsx';

export function SettingsPage() {
  useEffect(() => {
    document.title = 'Settings · Fieldmouse';
  }, []);
  return (
    <main class="settings">
      <h1>Settings</h1>
      {isOwner.value && <Sites />}
      <Account />
      <SignIns />
      {isOwner.value && <People />}
      {isOwner.value && <Tokens />}
      {isOwner.value && <AuditLink />}
      <Appearance />
      {server.value && <p class="muted version">Fieldmouse {server.value.version}</p>}
    </main>
  );
}

function AuditLink() {
  return (
    <section class="card group" aria-labelledby="audit-title">
      <div class="bar">
        <h2 id="audit-title">Audit trail</h2>
        <span class="muted">sign-ins, changes and deletions</span>
        <span class="gap" />
        <a class="button" href="/admin/audit">
          Open
        </a>
      </div>
    </section>
  );
}
