import { isOwner } from '../shell/session.ts';

/**
 * Says what is missing because the store is damaged; an empty text: nothing is. It is there before its text, or
 * screen readers pass over that.
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
