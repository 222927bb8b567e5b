/** The command that makes the server replace its workers. */
import { askLockHolder } from '../server/folder-lock.ts';
import { type Command, type ExitCode, type Invocation, refuseRunning } from './command.ts';

export const RELOAD_COMMANDS: Readonly<Record<string, Command>> = {
  reload: {
    does: 'replaces the workers one by one, without downtime',
    more: 'It asks the server that uses the data folder, and ends when every worker is replaced. SIGHUP does the same.',
    options: ['data'],
    examples: ['reload', 'reload --data /srv/fieldmouse'],
    run: reload,
  },
};

async function reload({ config, io }: Invocation): Promise<ExitCode> {
  try {
    await askLockHolder(config.data, 'reload', io.out);
    return 0;
  } catch (error) {
    return refuseRunning(io, (error as Error).message);
  }
}
