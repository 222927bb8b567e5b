import { isOwner } from '../shell/session.ts';

/**
 * Says what is missing because the store is damaged. `text` is empty if nothing is. The element is always in the
 * document: screen readers ignore a live region that is added with its text.
 */
export function DamageNote({ text }: { text: string }) {
  return (
    <div class="damage-note" role="status">
      {text !== '' && (
        <p class="damage-text">
          {text}
          {isOwner.value && (
            <>
              {' '}
              Run <code>fieldmouse verify</code> on the server for details.
            </>
          )}
        </p>
      )}
    </div>
  );
}
