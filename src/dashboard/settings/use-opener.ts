import { useEffect, useRef } from 'preact/hooks';

/**
 * Returns a ref for a button that is replaced by the form it opens. When the form closes, the button gets the focus
 * back.
 */
export function useOpener(isOpen: boolean) {
  const button = useRef<HTMLButtonElement>(null);
  const before = useRef(isOpen);
  useEffect(() => {
    if (before.current && !isOpen) button.current?.focus();
    before.current = isOpen;
  }, [isOpen]);
  return button;
}
