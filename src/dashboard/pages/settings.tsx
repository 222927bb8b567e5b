import { useEffect } from 'preact/hooks';
import { Account } from '../settings/account.tsx';
import { Appearance } from '../settings/appearance.tsx';
import { SignIns } from '../settings/sign-ins.tsx';
import { Sites } from '../settings/sites.tsx';
import { Tokens } from '../settings/tokens.tsx';
import { server } from '../state.ts';

export function SettingsPage() {
  useEffect(() => {
    document.title = 'Settings · Fieldmouse';
  }, []);
  return (
    <main class="settings">
      <h1>Settings</h1>
      <Sites />
      <Account />
      <SignIns />
      <Tokens />
      <Appearance />
      {server.value && <p class="muted version">Fieldmouse {server.value.version}</p>}
    </main>
  );
}
