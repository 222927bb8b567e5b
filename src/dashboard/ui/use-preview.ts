import { useEffect, useState } from 'preact/hooks';
import { oneOf } from '../shell/readers.ts';
import { storedSetting, storeSetting } from '../shell/stored-setting.ts';
import { askFraming, type Framing, framingOf, storeFraming } from './framing.ts';
import type { PagePreview } from './preview.ts';

/** The visited page, shown behind pointers or a heatmap. */
export interface ShownPage {
  /** True if the person wants to see it. */
  wanted: boolean;
  choose: (wanted: boolean) => void;
  /** Address for the frame; undefined if there is no frame. */
  url: string | undefined;
  /** Origin of the page. */
  origin: string;
  /** 'asking': its server has not answered yet. */
  framing: Framing | 'asking';
  settle: (framing: Framing) => void;
}

/** The preview of a page; undefined if there is none. */
export function usePreview(page: PagePreview | undefined): ShownPage | undefined {
  const [wanted, choose] = usePreference(page);
  const [framing, settle] = useFraming(wanted ? page : undefined);
  if (!page) return undefined;
  const url = wanted && framing !== 'refused' && framing !== 'asking' ? page.url : undefined;
  return { wanted, choose, url, origin: page.origin, framing, settle };
}

const readPreference = oneOf(['yes', 'no']);

/** Whether to show the page: as chosen for its origin; by default only if no other server learns of it. */
function usePreference(page: PagePreview | undefined): [boolean, (wanted: boolean) => void] {
  const name = page && (page.own ? 'preview' : `preview.${page.origin}`);
  const [chosen, setChosen] = useState<{ name: string; wish: string }>();
  const wish = chosen?.name === name ? chosen?.wish : name && storedSetting(name, readPreference);
  const choose = (wanted: boolean) => {
    if (name === undefined) return;
    const made = { name, wish: wanted ? 'yes' : 'no' };
    setChosen(made);
    storeSetting(made.name, made.wish);
  };
  return [wish ? wish === 'yes' : (page?.own ?? false), choose];
}

/** Whether a page may be framed: by the headers for the own origin, by the person's answer for others. */
function useFraming(page: PagePreview | undefined): [ShownPage['framing'], (framing: Framing) => void] {
  const [answer, setAnswer] = useState<{ url: string; framing: Framing }>();
  const [, setRound] = useState(0);
  const requested = page?.own ? page.url : undefined;
  useEffect(() => {
    if (requested === undefined) return;
    const control = new AbortController();
    const report = (framing: Framing) => !control.signal.aborted && setAnswer({ url: requested, framing });
    void askFraming(requested, control.signal).then(report);
    return () => control.abort();
  }, [requested]);
  const settle = (framing: Framing) => {
    if (page) storeFraming(page.origin, framing);
    setRound((n) => n + 1);
  };
  if (page?.own) return [answer?.url === page.url ? answer.framing : 'asking', settle];
  return [page ? framingOf(page.origin) : 'unknown', settle];
}
