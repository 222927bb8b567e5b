/** Parses a systemd unit strictly: anything that systemd warns about or ignores is an error. */

export type Unit = Record<string, Record<string, string[]>>;

/** Supported keys of systemd.unit(5), systemd.service(5), systemd.exec(5) and systemd.kill(5). */
const KEYS: Record<string, readonly string[]> = {
  Unit: words('Description Documentation Wants After StartLimitIntervalSec StartLimitBurst'),
  Service: words(`
    Type User Group WorkingDirectory StateDirectory StateDirectoryMode UMask Environment EnvironmentFile ExecStart
    ExecReload KillMode TimeoutStopSec Restart RestartSec RestartPreventExitStatus LimitNOFILE
    NoNewPrivileges CapabilityBoundingSet AmbientCapabilities ProtectSystem ProtectHome PrivateTmp PrivateDevices
    PrivateUsers ProtectClock ProtectControlGroups ProtectHostname ProtectKernelLogs ProtectKernelModules
    ProtectKernelTunables ProtectProc ProcSubset RemoveIPC RestrictNamespaces RestrictRealtime RestrictSUIDSGID
    LockPersonality RestrictAddressFamilies SystemCallArchitectures SystemCallFilter SystemCallErrorNumber`),
  Install: words('WantedBy'),
};

function words(text: string): string[] {
  return text.trim().split(/\s+/);
}

/** Returns the values by section and key, in order. Throws an Error that names the line. */
export function readUnit(text: string): Unit {
  const unit: Unit = {};
  let section = '';
  for (const [i, line] of text.split('\n').entries()) {
    const fail = (why: string) => new Error(`line ${i + 1}: ${why}: ${line}`);
    if (line === '' || line.startsWith('#')) continue;
    const header = /^\[(\w+)\]$/.exec(line)?.[1];
    if (header !== undefined) {
      if (!(header in KEYS) || header in unit) throw fail('no such section, or there twice');
      section = header;
      unit[section] = {};
      continue;
    }
    const [, key = '', value = ''] = /^(\w+)=(\S.*\S|\S|)$/.exec(line) ?? [];
    if (!KEYS[section]?.includes(key)) throw fail('no such key');
    if (key.startsWith('Exec') && !/^\/[\w./-]+( |$)/.test(value)) throw fail('no absolute path');
    const values = unit[section] as Record<string, string[]>;
    values[key] = [...(values[key] ?? []), value];
  }
  return unit;
}
