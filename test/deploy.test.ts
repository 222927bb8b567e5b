/**
 * The files in deploy/ agree with the server, with each other, and with the programs that read them, if those are
 * installed.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { WebSocket } from 'ws';
import { parse } from 'yaml';
import { OPTIONS } from '../src/config/config.ts';
import { freePort } from './support/free-port.ts';
import { build, copies, readStages, type Stage } from './support/image.ts';
import { startNginx } from './support/nginx.ts';
import { FILE } from './support/owner.ts';
import { startRedis } from './support/redis.ts';
import { startServer, temporaryFolder } from './support/server.ts';
import { StreamReader } from './support/stream.ts';
import { readUnit } from './support/unit.ts';
import { BinaryVisitor, JsonVisitor } from './support/visitor.ts';

const root = new URL('../', import.meta.url);
const path = (name: string) => fileURLToPath(new URL(name, root));
const read = (name: string) => readFileSync(path(name), 'utf8');
const PACKAGE = JSON.parse(read('package.json'));
const ENTRY = PACKAGE.bin.fieldmouse as string;
const PORT = Number(new URL(String(OPTIONS.listen.preset)).port);
/** Limit of a stop, in main.ts, and of a start, in supervisor.ts, milliseconds. */
const STOP_MS = limit('src/main.ts', 'STOP_LIMIT_MS');
const START_MS = limit('src/cluster/supervisor.ts', 'START_LIMIT_MS');

// The certificate that nginx gets here is signed by itself, and `fetch` can be told so in no other way on Node 20.
process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';

function limit(file: string, name: string): number {
  const text = new RegExp(`const ${name} = ([\\d_]+);`).exec(read(file))?.[1];
  assert.ok(text, `${name} in ${file}`);
  return Number(text.replaceAll('_', ''));
}

const [builder, image] = readStages(new URL('deploy/Dockerfile', root)) as [Stage, Stage];

function of(stage: Stage, keyword: string) {
  const found = stage.steps.filter((step) => step.keyword === keyword);
  assert.equal(found.length, 1, `one ${keyword}`);
  return found[0] as Stage['steps'][number];
}

/** How an image asks for its health, of this port. */
function health(command: string[], port = PORT): string[] {
  assert.ok(command.at(-1)?.includes(`http://127.0.0.1:${PORT}/readyz`));
  return command.map((word) => word.replace(`:${PORT}/`, `:${port}/`));
}

test('the Dockerfile builds with the oldest supported Node.js, and copies only files that exist and are not ignored', () => {
  const oldest = /^>=(\d+)\./.exec(PACKAGE.engines.node)?.[1];
  assert.deepEqual([builder.image, image.image], [`node:${oldest}-bookworm-slim`, `node:${oldest}-bookworm-slim`]);
  const [all, ...through] = read('.dockerignore')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));
  assert.equal(all, '*');
  const sources = copies(builder).map(({ source }) => source);
  for (const source of sources) assert.ok(existsSync(path(source)), source);
  assert.deepEqual(sources.sort(), through.map((line) => line.slice(1)).sort());
  assert.ok(copies(image).every(({ from }) => from === builder.name));
});

test('the image runs our entry point as a user, on our port, with its data in a volume with a short path', () => {
  assert.deepEqual(of(image, 'ENTRYPOINT').exec, ['node', ENTRY]);
  assert.deepEqual(of(image, 'USER').words, ['node']);
  assert.deepEqual(of(image, 'EXPOSE').words, [String(PORT)]);
  assert.deepEqual(of(image, 'STOPSIGNAL').words, ['SIGTERM']);
  assert.deepEqual(of(image, 'VOLUME').words, ['/data']);
  assert.match(of(image, 'ENV').text, new RegExp(`\\b${OPTIONS.data.env[0]}=/data\\b`));
  const order = image.steps.map(({ keyword }) => keyword);
  assert.ok(order.lastIndexOf('RUN') < order.indexOf('USER') && order.lastIndexOf('RUN') < order.indexOf('VOLUME'));
});

/**
 * Runs a command of a stage. Unpacking 290 packages takes 12 s of CPU, so `npm ci` only checks that the lock file
 * agrees with package.json; then the packages of this checkout are copied, if they are those in the lock file.
 */
function runStep(command: string, folder: string): void {
  const isInstall = command.startsWith('npm ci ');
  const options = { cwd: folder, stdio: 'pipe' } as const;
  execFileSync('sh', ['-c', isInstall ? `${command} --dry-run` : command], options);
  if (!isInstall) return;
  const [installed, locked] = ['node_modules/.package-lock.json', 'package-lock.json'].map(packagesIn) as [
    Packages,
    Packages,
  ];
  for (const [place, { integrity }] of Object.entries(installed))
    assert.equal(integrity, locked[place]?.integrity, place);
  for (const [place, { optional }] of Object.entries(locked))
    assert.ok(place === '' || optional || installed[place], `${place} is installed: npm ci`);
  execFileSync('cp', ['-a', path('node_modules'), folder]);
}

/** Packages of a lock file, by their folder. */
type Packages = Record<string, { integrity?: string; optional?: boolean }>;

function packagesIn(name: string): Packages {
  return JSON.parse(read(name)).packages;
}

test('the steps of the Dockerfile, done by hand without Docker, give a server that starts, is healthy, and stops', async (t) => {
  const folder = temporaryFolder(t);
  const [made, final] = [join(folder, 'build'), join(folder, 'image')];
  build(builder, made, new Map([['', path('')]]), runStep);
  build(image, final, new Map([[builder.name, made]]), () => {});
  const app = join(final, of(image, 'WORKDIR').words[0] as string);
  assert.deepEqual(readdirSync(app).sort(), ['dist', 'node_modules', 'package.json']);
  for (const name of ['typescript', 'esbuild', 'dockerfile-ast'])
    assert.ok(!existsSync(join(app, 'node_modules', name)), name);
  const port = await freePort();
  const [command = '', ...args] = of(image, 'ENTRYPOINT').exec;
  const env = {
    PATH: process.env.PATH,
    NODE_ENV: 'production',
    FIELDMOUSE_DATA: join(folder, 'data'),
    PORT: String(port),
  };
  const server = spawn(command, [...args, '--workers', '1'], { cwd: app, env, stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(server, 'exit');
  t.after(() => server.kill('SIGKILL'));
  for await (const line of createInterface({ input: server.stdout })) if (line.startsWith('listens on ')) break;
  const [look = '', ...rest] = health(of(image, 'HEALTHCHECK').exec, port);
  assert.equal(spawnSync(look, rest).status, 0);
  server.kill('SIGTERM');
  assert.deepEqual(await exited, [0, null]);
  assert.equal(spawnSync(look, rest).status, 1);
});

interface Compose {
  services: { fieldmouse: ComposeService; redis: RedisService };
  volumes: Record<string, null>;
}

interface RedisService {
  profiles: string[];
  command: string[];
  ports: string[];
  volumes: string[];
  read_only: boolean;
  cap_drop: string[];
}

interface ComposeService {
  build: { context: string; dockerfile: string };
  ports: string[];
  environment: Record<string, string>;
  volumes: string[];
  read_only: boolean;
  tmpfs: string[];
  cap_drop: string[];
  security_opt: string[];
  stop_grace_period: string;
  healthcheck: { test: string[]; interval: string; timeout: string; start_period: string; retries: number };
  logging: { driver: string; options: Record<string, string> };
}

/** compose.yaml as Compose reads it, with these variables: `${NAME:-preset}`. */
function compose(variables: Record<string, string> = {}): Compose {
  const text = read('deploy/compose.yaml').replace(
    /\$\{(\w+):-([^}]*)\}/g,
    (_, name: string, preset: string) => variables[name] ?? preset,
  );
  return parse(text, { strict: true, uniqueKeys: true }) as Compose;
}

test('compose.yaml has one confined service that agrees with the Dockerfile, and an optional Redis', () => {
  const { services, volumes } = compose();
  assert.deepEqual([Object.keys(services), volumes], [['fieldmouse', 'redis'], { data: null, redis: null }]);
  const service = services.fieldmouse;
  assert.deepEqual([services.redis.profiles, services.redis.volumes], [['redis'], ['redis:/data']]);
  assert.deepEqual([services.redis.read_only, services.redis.cap_drop], [true, ['ALL']]);
  assert.deepEqual(services.redis.ports, ['127.0.0.1:6379:6379']);
  assert.ok(existsSync(path(join('deploy', service.build.context, service.build.dockerfile))));
  assert.deepEqual(service.ports, [`127.0.0.1:${PORT}:${PORT}`]);
  assert.deepEqual(service.volumes, [`data:${of(image, 'VOLUME').words[0]}`]);
  assert.deepEqual([service.read_only, service.cap_drop, service.tmpfs], [true, ['ALL'], ['/tmp']]);
  assert.deepEqual(service.security_opt, ['no-new-privileges:true']);
  assert.ok(seconds(service.stop_grace_period) > STOP_MS / 1000);
  assertOurVariables(Object.keys(service.environment));
  const { test: command, interval, timeout, start_period, retries } = service.healthcheck;
  const { flags, exec } = of(image, 'HEALTHCHECK');
  assert.deepEqual(health(command), ['CMD', ...exec]);
  assert.deepEqual({ interval, timeout, 'start-period': start_period, retries: String(retries) }, flags);
  assert.ok(service.logging.options['max-size'] && service.logging.options['max-file']);
});

test('the Redis of compose.yaml loses no acked data and requires its password, and a server gets its address as shown there', async (t) => {
  const password = 'letters0and0digits';
  const [program = '', ...flags] = compose({ REDIS_PASSWORD: password }).services.redis.command;
  assert.equal(program, 'redis-server');
  const own = flags.indexOf('--dir');
  const redis = await startRedis(t, flags.toSpliced(own, 2));
  assert.match(redis.cli('ping'), /NOAUTH/);
  const address = `redis://:${password}@127.0.0.1:${redis.port}`;
  const { environment } = compose({ FIELDMOUSE_REDIS: address }).services.fieldmouse;
  const variables = Object.entries(environment).filter(([, value]) => value);
  const server = await startServer(t, { env: Object.fromEntries(variables), workers: 1 });
  assert.match(server.output(), /Redis has frames on disk before they are acked/);
  assert.ok(!server.output().includes(password));
  assert.match(redis.cli('-a', password, '--no-auth-warning', 'get', 'fm:{fm}:version'), /\d/);
  assert.equal(compose().services.fieldmouse.environment.FIELDMOUSE_REDIS, null);
});

test('compose.yaml sets every Redis option that docs/redis.md requires', () => {
  const asked = /# redis\.conf\n([\s\S]*?)```/.exec(read('docs/redis.md'))?.[1]?.trim().split('\n') ?? [];
  const command = compose({ REDIS_PASSWORD: 'a-long-password' }).services.redis.command.join(' ');
  assert.ok(asked.length >= 4);
  for (const line of asked) assert.ok(command.includes(`--${line}`), line);
});

function seconds(text: string): number {
  return Number(/^(\d+)s?$/.exec(text)?.[1]);
}

function assertOurVariables(names: string[]): void {
  const ours = Object.values(OPTIONS).flatMap(({ env }) => env as readonly string[]);
  for (const name of names) assert.ok(['NODE_ENV', ...ours].includes(name), name);
}

test('docker accepts compose.yaml unchanged, if docker is installed', {
  skip: !hasCompose() && 'no docker compose here',
}, () => {
  const { status, stderr } = spawnSync('docker', ['compose', '-f', path('deploy/compose.yaml'), 'config', '--quiet']);
  assert.deepEqual([status, String(stderr)], [0, '']);
});

function hasCompose(): boolean {
  return spawnSync('docker', ['compose', 'version'], { stdio: 'ignore' }).status === 0;
}

test('the unit starts, stops and reloads our entry point as the server expects, and uses only known keys', () => {
  const { Service = {}, Install } = readUnit(read('deploy/fieldmouse.service'));
  const { ExecStart, ExecReload, Type, KillMode, Environment, RestartPreventExitStatus } = Service;
  assert.deepEqual(ExecStart, [`/usr/bin/node /opt/fieldmouse/${ENTRY}`]);
  assert.deepEqual([Type, KillMode, ExecReload], [['exec'], ['mixed'], ['/bin/kill -HUP $MAINPID']]);
  assert.ok(seconds(Service.TimeoutStopSec?.[0] ?? '') > STOP_MS / 1000);
  assert.deepEqual(RestartPreventExitStatus, ['2']);
  const variables = (Environment ?? []).map((line) => line.split('=') as [string, string]);
  assertOurVariables(variables.map(([name]) => name));
  assert.equal(Object.fromEntries(variables).FIELDMOUSE_DATA, `/var/lib/${Service.StateDirectory?.[0]}`);
  assert.ok(Service.RestrictAddressFamilies?.[0]?.split(' ').includes('AF_UNIX'));
  assert.equal(Service.MemoryDenyWriteExecute, undefined);
  assert.deepEqual(Install, { WantedBy: ['multi-user.target'] });
  // It need not be there.
  assert.deepEqual(Service.EnvironmentFile, ['-/etc/fieldmouse.env']);
});

test('the parser of units rejects what systemd ignores', () => {
  for (const text of [
    '[Service]\nExecStrat=/bin/true',
    '[Servcie]',
    '[Unit]\n[Unit]',
    '[Service]\nExecStart=node x',
    'a',
  ])
    assert.throws(() => readUnit(text), /^Error: line \d: /);
});

const hasSystemd = spawnSync('systemd-analyze', ['--version'], { stdio: 'ignore' }).status === 0;

test('systemd finds no error in the unit, and little exposure', { skip: !hasSystemd && 'no systemd here' }, (t) => {
  const file = join(temporaryFolder(t), 'fieldmouse.service');
  writeFileSync(file, read('deploy/fieldmouse.service').replace('=/usr/bin/node', `=${process.execPath}`));
  const { status, stdout, stderr } = spawnSync('systemd-analyze', ['verify', file], { encoding: 'utf8' });
  assert.deepEqual([status, (stdout + stderr).match(/.*fieldmouse.*/g)], [0, null]);
  const text = execFileSync('systemd-analyze', ['security', '--offline=true', file], { encoding: 'utf8' });
  const exposure = Number(/Overall exposure level for fieldmouse\.service: ([\d.]+)/.exec(text)?.[1]);
  t.diagnostic(`exposure ${exposure} of 10`);
  assert.ok(exposure < 2);
});

interface Manifest {
  kind: string;
  metadata: { name: string; labels?: Record<string, string> };
  // biome-ignore lint/suspicious/noExplicitAny: what the tests below find out
  spec: any;
}

const FOLDER = 'deploy/kubernetes';

function manifests(): Map<string, Manifest> {
  const { resources } = parse(read(join(FOLDER, 'kustomization.yaml'))) as { resources: string[] };
  assert.deepEqual([...resources, 'kustomization.yaml'].sort(), readdirSync(path(FOLDER)).sort());
  return new Map(
    resources.map((name) => {
      const manifest = parse(read(join(FOLDER, name)), { strict: true, uniqueKeys: true }) as Manifest;
      return [manifest.kind, manifest];
    }),
  );
}

test('the Kubernetes manifests refer to each other, our port and our probes', () => {
  const all = manifests();
  const [set, service, ingress] = ['StatefulSet', 'Service', 'Ingress'].map((kind) => all.get(kind)?.spec);
  const [container] = set.template.spec.containers;
  assert.deepEqual([set.replicas, set.serviceName], [1, all.get('Service')?.metadata.name]);
  assert.deepEqual(set.selector.matchLabels, set.template.metadata.labels);
  assert.deepEqual(service.selector, set.template.metadata.labels);
  assert.deepEqual(container.ports, [{ name: 'http', containerPort: PORT }]);
  assert.equal(service.ports[0].targetPort, 'http');
  const { backend } = ingress.rules[0].http.paths[0];
  assert.deepEqual(backend.service, { name: all.get('Service')?.metadata.name, port: { name: service.ports[0].name } });
  assert.deepEqual(ingress.tls[0].hosts, [ingress.rules[0].host]);
  const probes = [container.startupProbe, container.readinessProbe, container.livenessProbe];
  const asked = ['/readyz', '/readyz', '/healthz'].map((path) => ({ path, port: 'http' }));
  assert.deepEqual(
    probes.map(({ httpGet }) => httpGet),
    asked,
  );
  assert.ok(container.startupProbe.failureThreshold * container.startupProbe.periodSeconds > START_MS / 1000);
  assert.ok(set.template.spec.terminationGracePeriodSeconds > STOP_MS / 1000);
});

const SEVERAL = 'deploy/kubernetes-redis';

test('several pods read the address of Redis from a required secret, and nothing else changes', () => {
  const { resources, replicas, patches } = parse(read(join(SEVERAL, 'kustomization.yaml')), { strict: true });
  assert.deepEqual([resources, readdirSync(path(SEVERAL))], [['../kubernetes'], ['kustomization.yaml']]);
  const set = manifests().get('StatefulSet');
  assert.equal(replicas[0].name, set?.metadata.name);
  assert.ok(replicas[0].count > 1);
  assert.deepEqual(patches[0].target, { kind: 'StatefulSet', name: set?.metadata.name });
  const [env, spread, ...more] = parse(patches[0].patch, { strict: true });
  assert.deepEqual([env.op, env.path], ['add', '/spec/template/spec/containers/0/env/-']);
  assertOurVariables([env.value.name]);
  assert.deepEqual(env.value, {
    name: OPTIONS.redis.env[0],
    valueFrom: { secretKeyRef: { name: 'fieldmouse-redis', key: 'url' } },
  });
  assert.deepEqual(spread.value[0].labelSelector.matchLabels, set?.spec.selector.matchLabels);
  assert.deepEqual(more, []);
  assert.match(
    read('docs/deploy/kubernetes.md'),
    /create secret generic fieldmouse-redis --from-literal=url='redis:\/\//,
  );
});

const hasKubectl = spawnSync('kubectl', ['kustomize', '--help'], { stdio: 'ignore' }).status === 0;

test('kubectl builds the manifests, for one pod or several', { skip: !hasKubectl && 'no kubectl here' }, () => {
  const setIn = (folder: string) =>
    execFileSync('kubectl', ['kustomize', path(folder)], { encoding: 'utf8' })
      .split(/^---$/m)
      .map((text) => parse(text) as Manifest)
      .find(({ kind }) => kind === 'StatefulSet')?.spec;
  const [one, several] = [setIn(FOLDER), setIn(SEVERAL)];
  assert.deepEqual([one.replicas, several.replicas > 1], [1, true]);
  assert.equal(several.template.spec.containers[0].env.at(-1).name, 'FIELDMOUSE_REDIS');
  // What else Kubernetes refuses to change in one that is there.
  const fixed = ({ serviceName, selector, volumeClaimTemplates }: typeof one) => [
    serviceName,
    selector,
    volumeClaimTemplates,
  ];
  assert.deepEqual(fixed(several), fixed(one));
});

test('the pod is confined, has its data in a claim, and gets variables that we read', () => {
  const { template, volumeClaimTemplates } = manifests().get('StatefulSet')?.spec ?? {};
  const { securityContext, containers, volumes } = template.spec;
  const [container] = containers;
  assert.deepEqual([securityContext.runAsNonRoot, securityContext.seccompProfile.type], [true, 'RuntimeDefault']);
  assert.deepEqual(container.securityContext, {
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ['ALL'] },
  });
  const named = [
    ...volumeClaimTemplates.map((one: Manifest) => one.metadata.name),
    ...volumes.map((one: { name: string }) => one.name),
  ];
  const mounts = container.volumeMounts as { name: string; mountPath: string }[];
  assert.deepEqual(
    mounts.map(({ name }) => name),
    named,
  );
  assert.equal(mounts[0]?.mountPath, of(image, 'VOLUME').words[0]);
  assertOurVariables(container.env.map(({ name }: { name: string }) => name));
  const gigabytes = Number(/^(\d+)Gi$/.exec(volumeClaimTemplates[0].spec.resources.requests.storage)?.[1]);
  assert.ok(gigabytes > Number(/^(\d+)GB$/.exec(String(OPTIONS.maxStore.preset))?.[1]));
  const { cpu, memory } = container.resources.limits;
  const most = container.env.find(({ name }: { name: string }) => name === OPTIONS.maxMemory.env[0]).value;
  assert.ok(Number(cpu) * Number(/^(\d+)MB$/.exec(most)?.[1]) < 1024 * Number(/^(\d+)Gi$/.exec(memory)?.[1]));
});

test('nginx has the same limits as the server', () => {
  const site = read('deploy/nginx.conf');
  assert.equal(Number(/client_max_body_size (\d+)m;/.exec(site)?.[1]) * 2 ** 20, Number(OPTIONS.maxBody.preset));
  const beats = [limit('src/hub/hub.ts', 'HEARTBEAT_MS') / 1000, limit('src/ingest/ingest.ts', 'PROBE_ROUNDS')];
  for (const [, time] of site.matchAll(/proxy_(?:read|send)_timeout (\d+)s;/g))
    assert.ok(Number(time) > 2 * Math.max(...beats));
  assert.match(site, new RegExp(`server 127\\.0\\.0\\.1:${PORT};`));
});

/** Behind nginx. */
const proxied = await startServer(FILE, { workers: 1, flags: ['--trust-proxy', '127.0.0.1'] });

test('through nginx a visitor gets hello and acks, the stream shows it at once, and a reload keeps it connected', async (t) => {
  const proxy = await startNginx(t, proxied.url);
  const stream = await StreamReader.open(t, { ...proxy, token: proxied.token }, { site: 'demo', moves: 'full' });
  await stream.next('snapshot');
  const visitor = new BinaryVisitor(t, proxy.ws, { page: '/proxied' });
  const { visitor: id } = await visitor.hello;
  assert.equal((await stream.next('join', ({ visitor }) => visitor.id === id)).visitor.page, '/proxied');
  const acked = new Promise<void>((resolve) => visitor.socket.on('message', () => visitor.acked >= 1 && resolve()));
  visitor.frame({ type: 'move', time: 1, x: 3, y: 4 });
  await acked;
  await stream.next('moves');
  const closed = once(visitor.socket, 'close');
  proxied.process.kill('SIGHUP');
  assert.equal((await closed)[0], 1012);
  await (await new JsonVisitor(t, proxy.ws).hello).visitor;
  await stream.next('join');
});

/** A visitor that comes from this address of the loopback interface, and says that it has another. */
function comeFrom(t: TestContext, ws: string, localAddress: string): Promise<'hello' | number> {
  const socket = new WebSocket(`${ws}/v1/visit?site=demo&page=/`, 'json', {
    localAddress,
    headers: { 'x-forwarded-for': `198.51.100.${Math.ceil(Math.random() * 250)}` },
  });
  t.after(() => socket.terminate());
  return new Promise((resolve) => {
    socket.once('message', () => resolve('hello'));
    socket.once('unexpected-response', (_, { statusCode = 0 }) => resolve(statusCode));
    socket.once('close', resolve);
    socket.on('error', () => {});
  });
}

test('the address sent by nginx counts with --trust-proxy, and an address sent by visitors does not', async (t) => {
  const [ada, bob] = ['127.0.0.2', '127.0.0.3'];
  const flags = ['--max-per-address', '1'];
  const trusting = await startServer(t, { workers: 1, flags: [...flags, '--trust-proxy', '127.0.0.1'] });
  const { ws } = await startNginx(t, trusting.url);
  assert.equal(await comeFrom(t, ws, ada), 'hello');
  assert.equal(await comeFrom(t, ws, bob), 'hello');
  assert.notEqual(await comeFrom(t, ws, ada), 'hello');
  const plain = await startServer(t, { workers: 1, flags });
  const other = await startNginx(t, plain.url);
  assert.equal(await comeFrom(t, other.ws, ada), 'hello');
  assert.notEqual(await comeFrom(t, other.ws, bob), 'hello');
});

test('behind https cookies are Secure, metrics stay internal, http redirects, and nginx and the server reject the same bodies', async (t) => {
  const { url, plain } = await startNginx(t, proxied.url);
  const token = proxied.link?.split('/').at(-1);
  const signedIn = await fetch(`${url}/v1/session/link`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', origin: 'https://127.0.0.1' },
    body: JSON.stringify({ token }),
  });
  assert.equal(signedIn.status, 201);
  assert.match(signedIn.headers.get('set-cookie') ?? '', /; Secure/);
  assert.equal((await fetch(`${url}/metrics`)).status, 404);
  const moved = await fetch(`${plain}/admin`, { redirect: 'manual' });
  assert.deepEqual([moved.status, moved.headers.get('location')], [301, 'https://127.0.0.1/admin']);
  assert.equal(await statusOf(`${url}/v1/session/link`, Number(OPTIONS.maxBody.preset) + 1), 413);
});

/** Status of the answer to a POST of so many bytes, which may come before they are all sent. */
function statusOf(url: string, bytes: number): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { method: 'POST', headers: { 'content-length': bytes } }, (answer) => {
      resolve(answer.statusCode);
      sent.destroy();
    });
    sent.once('error', reject);
    sent.end(Buffer.alloc(bytes));
  });
}
