/** The command that has the server replace its workers. */
import { ask } from '../server/folder-lock.ts';
import { type Call, type Command, type ExitCode, refuse } from './command.ts';

export const RELOAD_COMMANDS: Readonly<Record<string, Command>> = {
  reload: {
    does: 'replaces the workers one by one, without downtime',
    more: 'It asks the server that uses the data folder, and ends when every worker is replaced. SIGHUP does the same.',
    options: ['data'],
    examples: ['reload', 'reload --data /srv/fieldmouse'],
    run: reload,
  },
};

async function reload({ config, io }: Call): Promise<ExitCode> {
  try {
    await ask(config.data, 'reload', io.out);
    return 0;
  } catch (error) {
    return refuse(io, (error as Error).message);
  }
}
