/**
 * The resume token in sessionStorage, which ends with the tab: the next page in this tab is the same visitor.
 * Storage may be forbidden; then each page is a visitor of its own.
 */
import { guard } from './guard.ts';
import { TOKEN_KEY } from './limits.ts';

/** Empty if there is none. */
export function loadToken(): string {
  let token: string | undefined;
  guard(() => {
    token = sessionStorage[TOKEN_KEY];
  })();
  return token ?? '';
}

/** Keeps the token; an empty one is removed. */
export const saveToken = guard((token: string) => {
  if (token) sessionStorage[TOKEN_KEY] = token;
  else delete sessionStorage[TOKEN_KEY];
});
