import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';

export interface ConfirmProps {
  title: string;
  text: string;
  /** The button that does it. */
  action: string;
  yes: () => void;
  no: () => void;
  /** More to say, below the text. */
  children?: ComponentChildren;
}

/** Asks before something that cannot be undone. */
export function Confirm({ title, text, action, yes, no, children }: ConfirmProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} aria-labelledby="confirm-title" onClose={no}>
      <h2 id="confirm-title">{title}</h2>
      <p>{text}</p>
      {children}
      <div class="buttons">
        {/* Closing it gives the focus back; a dialog that is only taken away does not. */}
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
