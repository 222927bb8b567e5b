const { join, resolve } = require('node:path');

/** PM2: `pm2 start ecosystem.config.cjs`, or `--env development` to see stacks of errors in answers. */
module.exports = {
  apps: [
    {
      name: 'fieldmouse',
      // Absolute, so that PM2 may be run from any folder; ./data is beside this file.
      script: join(__dirname, 'dist/main.js'),
      cwd: __dirname,
      // With --watch a new build restarts the server; what the server itself writes does not.
      ignore_watch: [
        resolve(__dirname, process.env.FIELDMOUSE_DATA || 'data'),
        ...['data', 'node_modules', '.git', 'logs'].map((name) => join(__dirname, name)),
      ],
      // Our own primary forks the workers; PM2's cluster mode would put another one around it.
      exec_mode: 'fork',
      instances: 1,
      // We send 'ready' when every worker listens, within our own limit of 20 s. After this time PM2 says "online"
      // anyway.
      wait_ready: true,
      listen_timeout: 25_000,
      // Above our own limit of 5 s for a stop.
      kill_timeout: 8000,
      // The primary drains its workers itself; a signal to each of them would cut that short.
      treekill: false,
      // A last resort for the primary: PM2 does not watch the workers. They have --max-memory, which disconnects
      // nobody.
      max_memory_restart: '2G',
      // A fault of the configuration does not go away by itself; a port in use may.
      stop_exit_codes: [2],
      exp_backoff_restart_delay: 200,
      env: { NODE_ENV: 'production' },
      env_production: { NODE_ENV: 'production' },
      env_development: { NODE_ENV: 'development' },
      // PM2_HOME/logs/fieldmouse-out.log and -error.log, without the number of the process. Each line starts with its
      // time.
      merge_logs: true,
      time: true,
    },
  ],
};
