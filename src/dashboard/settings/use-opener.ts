import { useEffect, useRef } from 'preact/hooks';

/** For the button that opens a form in its own place: it gets the focus back when the form closes. */
export function useOpener(isOpen: boolean) {
  const button = useRef<HTMLButtonElement>(null);
  const before = useRef(isOpen);
  useEffect(() => {
    if (before.current && !isOpen) button.current?.focus();
    before.current = isOpen;
  }, [isOpen]);
  return button;
}
