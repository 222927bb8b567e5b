import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';

export interface ConfirmProps {
  title: string;
  text: string;
  /** Label of the button that confirms. */
  action: string;
  yes: () => void;
  no: () => void;
  /** Shown below the text. */
  children?: ComponentChildren;
}

/** Asks for confirmation of an action that cannot be undone. */
export function Confirm({ title, text, action, yes, no, children }: ConfirmProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} aria-labelledby="confirm-title" onClose={no}>
      <h2 id="confirm-title">{title}</h2>
      <p>{text}</p>
      {children}
      <div class="buttons">
        {/* Closing a dialog restores the focus. Removing it from the document does not. */}
        <button type="button" onClick={() => dialog.current?.close()}>
          Cancel
        </button>
        <button type="button" class="danger" onClick={yes}>
          {action}
        </button>
      </div>
    </dialog>
  );
}
