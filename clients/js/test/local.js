import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, openSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { Kafka, logLevel, Partitioners } from 'kafkajs';
import { until } from './until.js';

/** Starting includes building the functions where they are not built yet. In milliseconds. */
const START = 600_000;

/** How long it may take to say whether it is ready, in milliseconds; then it is asked again. */
const READY = 5_000;

const binary = path.resolve(process.env.LIVEFOLD_LOCAL ?? path.join(import.meta.dirname, '../../../target/debug/local'));

/** The workspace: two folders above the profile's. */
const workspace = path.resolve(path.dirname(binary), '../..');

/** The local system as a child process, on ports of its own. */
export class Local {
  /** @type {import('node:child_process').ChildProcess} */
  #child;
  #ports;
  #log = path.join(mkdtempSync(path.join(tmpdir(), 'livefold-')), 'log');
  #producer;

  static async start() {
    assert.ok(existsSync(binary), `There is no ${binary}: run \`cargo build --bins\`, or set LIVEFOLD_LOCAL.`);
    const local = new Local();
    local.#ports = await freePorts(3);
    await local.#run();
    return local;
  }

  get port() {
    return this.#ports[0];
  }

  get address() {
    return `127.0.0.1:${this.port}`;
  }

  /** A token as `cargo dev token` prints it. */
  async token(...options) {
    const { stdout } = await promisify(execFile)(binary, ['token', ...options], { cwd: workspace });
    return stdout.trim().split('\n').at(-1);
  }

  /** Counts a call of a campaign. */
  async call(tenantId, campaignId, eventType = 'call_initiated') {
    await this.send('campaign.events.v1', campaignId, { tenantId, campaignId, eventType, callId: 'k-1' });
  }

  async send(topic, key, record) {
    this.#producer ??= await this.#connectProducer();
    await this.#producer.send({ topic, messages: [{ key, value: JSON.stringify(record) }] });
  }

  /** Stops, and starts again on the same ports. What was in memory is gone. */
  async restart() {
    await this.stop();
    await this.#run();
  }

  async stop() {
    await this.#producer?.disconnect();
    this.#producer = undefined;
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill('SIGINT');
    await ended;
  }

  async #run() {
    const [port, kafka, dynamodb] = this.#ports.map(String);
    const log = openSync(this.#log, 'a');
    const options = ['--no-simulator', '--limits', 'aws', '--port', port, '--kafka-port', kafka, '--dynamodb-port', dynamodb];
    this.#child = spawn(binary, options, { cwd: workspace, stdio: ['ignore', log, log] });
    // It ends with the tests, however they end.
    process.once('exit', () => this.#child.kill('SIGKILL'));
    await until('the local system is ready', async () => {
      assert.equal(this.#child.exitCode, null, `the local system ended; see ${this.#log}`);
      // While functions start, a request may wait for as long as fetch does: five minutes.
      const signal = AbortSignal.timeout(READY);
      const response = await fetch(`http://${this.address}/api/health/ready`, { signal }).catch(() => null);
      await response?.body?.cancel();
      return response?.ok;
    }, START);
  }

  async #connectProducer() {
    const kafka = new Kafka({ brokers: [`localhost:${this.#ports[1]}`], logLevel: logLevel.NOTHING });
    const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner });
    await producer.connect();
    return producer;
  }
}

/** Ports below those that Linux gives to connections: one of theirs may be taken again before the system listens there. */
const [FIRST_PORT, PORTS] = [10_000, 22_000];

/** Ports that nobody listens on, chosen at random: other systems are started at the same time. */
async function freePorts(count) {
  const servers = [];
  while (servers.length < count) {
    const port = FIRST_PORT + Math.floor(Math.random() * PORTS);
    const server = net.createServer();
    const isFree = await new Promise((resolve) => {
      server.once('error', () => resolve(false)).listen(port, '127.0.0.1', () => resolve(true));
    });
    if (isFree) servers.push(server);
  }
  const ports = servers.map((server) => server.address().port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
