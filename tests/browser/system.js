import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, openSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { Kafka, logLevel, Partitioners } from 'kafkajs';
import { until } from './until.js';

const workspace = path.resolve(import.meta.dirname, '../..');
const binary = path.resolve(process.env.LIVEFOLD_LOCAL ?? path.join(workspace, 'target/debug/local'));

/** A cold machine takes a while, in milliseconds. */
const START = 120_000;

export const TENANT = 'acme';

/** The local system as a child process, on ports of its own; without a simulator, unless one is started. */
export class System {
  #children = [];
  #ports;
  #producer = null;
  #log = path.join(mkdtempSync(path.join(tmpdir(), 'livefold-browser-')), 'log');

  /** @param {string[]} [options] of the command line */
  static async start(options = []) {
    const system = new System();
    system.#ports = await freePorts(3);
    const [port, kafka, dynamodb] = system.#ports.map(String);
    const child = system.#spawn([
      '--no-simulator',
      '--limits',
      'aws',
      '--port',
      port,
      '--kafka-port',
      kafka,
      '--dynamodb-port',
      dynamodb,
      ...options,
    ]);
    await until(
      `the local system is ready; see ${system.#log}`,
      async () => {
        assert.equal(child.exitCode, null, `the local system ended; see ${system.#log}`);
        const answer = await fetch(`${system.url}/api/health/ready`).catch(() => null);
        await answer?.body?.cancel();
        return answer?.ok;
      },
      START,
    );
    return system;
  }

  get port() {
    return this.#ports[0];
  }

  get url() {
    return `http://localhost:${this.port}`;
  }

  /** A token as `cargo dev token` prints it. */
  async token(...options) {
    const { stdout } = await promisify(execFile)(binary, ['token', ...options], { cwd: workspace });
    return stdout.trim().split('\n').at(-1);
  }

  /** Starts the simulator. */
  simulate(...options) {
    this.#spawn(['simulate', '--kafka', `localhost:${this.#ports[1]}`, ...options]);
  }

  /**
   * Sends call events of a campaign, in order.
   * @param {string} campaignId
   * @param {...(string | object)} events event types, or records
   */
  async calls(campaignId, ...events) {
    const records = events.map((event, place) => ({
      ...(typeof event === 'string' ? { eventType: event, callId: `k-${place}` } : event),
      campaignId,
      tenantId: TENANT,
    }));
    await this.send('campaign.events.v1', campaignId, ...records);
  }

  /** Sends records to a topic. */
  async send(topic, key, ...records) {
    await this.sendAll(
      topic,
      records.map((record) => [key, record]),
    );
  }

  /**
   * Sends records to a topic, at once.
   * @param {Array<[string, object]>} records with their keys
   */
  async sendAll(topic, records) {
    this.#producer ??= await this.#connect();
    await this.#producer.send({
      topic,
      messages: records.map(([key, record]) => ({ key, value: JSON.stringify(record) })),
    });
  }

  async stop() {
    await this.#producer?.disconnect();
    for (const child of this.#children.reverse()) {
      if (child.exitCode !== null) continue;
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      await ended;
    }
  }

  #spawn(options) {
    const log = openSync(this.#log, 'a');
    // It is built already: whoever tests does not want to wait for cargo to find that out.
    const env = { CARGO: '/bin/true', ...process.env };
    const child = spawn(binary, options, { cwd: workspace, env, stdio: ['ignore', log, log] });
    this.#children.push(child);
    // It ends with the tests, however they end.
    process.once('exit', () => child.kill('SIGKILL'));
    return child;
  }

  async #connect() {
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
