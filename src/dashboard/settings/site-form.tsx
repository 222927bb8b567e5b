import { useEffect, useRef, useState } from 'preact/hooks';
import { ORIGIN_EXAMPLES, type Site } from '../../model/site.ts';
import { api } from '../shell/api.ts';
import { reloadSites } from '../shell/sites.ts';
import { FormField } from '../ui/field.tsx';
import { ProblemText } from '../ui/problem.tsx';
import { useCall } from '../ui/use-call.ts';

/** Adds a site, or changes `site`. The first field gets the focus. */
export function SiteForm({ site, close }: { site?: Site; close: () => void }) {
  const [key, setKey] = useState(site?.key ?? '');
  const [name, setName] = useState(site?.name ?? '');
  const [origins, setOrigins] = useState(site?.origins.join('\n') ?? '');
  const { busy, problem, run } = useCall();
  const form = useRef<HTMLFormElement>(null);
  useEffect(() => form.current?.querySelector('input')?.focus(), []);
  const save = async (event: Event) => {
    event.preventDefault();
    const values = { name: name.trim(), origins: originsOf(origins) };
    const work = () => (site ? api.changeSite(site.key, values) : api.addSite({ key, ...values }));
    if ((await run(work)) && (await run(reloadSites))) close();
  };
  return (
    <form class="fields" ref={form} onSubmit={save}>
      <FormField label="Name" name="name" maxLength={100} value={name} change={setName} />
      {!site && (
        <FormField
          label="Key"
          hint="used in the snippet: lowercase letters, digits and hyphens"
          name="key"
          pattern="[a-z0-9\-]{1,40}"
          title="1 to 40 lowercase letters, digits and hyphens"
          autocapitalize="none"
          value={key}
          change={setKey}
        />
      )}
      <label>
        Origins <span class="muted">one per line, for example {ORIGIN_EXAMPLES}</span>
        <textarea
          name="origins"
          rows={3}
          required
          spellcheck={false}
          value={origins}
          onInput={(event) => setOrigins(event.currentTarget.value)}
        />
      </label>
      <ProblemText text={problem} />
      <div class="buttons">
        <button type="button" onClick={close}>
          Cancel
        </button>
        <button type="submit" class="primary" disabled={busy}>
          {site ? 'Save' : 'Add'}
        </button>
      </div>
    </form>
  );
}

function originsOf(text: string): string[] {
  const words = text.split(/[\s,]+/).filter(Boolean);
  return words.map(originOf);
}

/** The origin of an address: people often paste the address of a page. Other texts are returned unchanged. */
function originOf(text: string): string {
  if (text === 'self' || !URL.canParse(text)) return text;
  const { origin } = new URL(text);
  return origin === 'null' ? text : origin;
}
