import { useState } from 'preact/hooks';
import { keep, kept } from '../kept.ts';
import type { PagePreview } from './preview.ts';

/** Whether to show the page: as chosen in this browser; without a choice, where it tells nobody anything. */
export function usePreviewWish(preview: PagePreview | undefined): [boolean, (shown: boolean) => void] {
  const [wish, setWish] = useState(() => kept('preview'));
  const choose = (shown: boolean) => {
    const value = shown ? 'yes' : 'no';
    setWish(value);
    keep('preview', value);
  };
  return [wish === null ? (preview?.own ?? false) : wish === 'yes', choose];
}
