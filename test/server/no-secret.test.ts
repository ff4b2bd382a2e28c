/** Every sort of secret is used, with success and without; then everything that anybody could read is searched for each of them. */
import { WorkflowFailedError } from '@temporalio/client'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { CLIENT_SECRET, createOAuthServer } from '../connections/credentials/oauth-server.ts'
import { runCli } from '../helpers/cli.ts'
import { extensionDirectory } from '../helpers/extensions.ts'
import { freePort } from '../helpers/free-port.ts'
import { historyText } from '../helpers/history.ts'
import { startPostgres, type PostgresServer } from '../helpers/postgres.ts'
import { createProject } from '../helpers/project.ts'
import { startQuackServer } from '../helpers/quack-server.ts'
import { startS3Server } from '../helpers/s3-server.ts'
import { startWorkerProcess } from '../helpers/worker-process.ts'
import { startTestServer, type TestServer } from '../helpers/worker.ts'

const QUACK_TOKEN = 'a-token-of-quack-3f6b'
const REFUSED_TOKEN = 'a-refused-token-77aa'
const WRONG_PASSWORD = 'a-wrong-password-91cd'
const PRINTED_TOKEN = 'a-printed-token-52ee'

const GATEWAYS = ['local', 'served', 'lake', 'refused', 'locked_out', 'gone']

let server: TestServer
let postgres: PostgresServer
let extensions = ''
beforeAll(async () => {
  extensions = await extensionDirectory('ducklake', 'httpfs', 'postgres_scanner', 'quack')
  postgres = await startPostgres()
  await postgres.createDatabase('lake')
  server = await startTestServer()
}, 240_000)
afterAll(async () => {
  await server?.close()
  await postgres?.stop()
})

test('no secret is in a history, a log of any level, a metric, an answer of doctor, an error or a file', async () => {
  const quack = await startQuackServer({ file: ':memory:', token: QUACK_TOKEN })
  const gone = await startQuackServer({ file: ':memory:', token: QUACK_TOKEN })
  await gone.kill()
  const bucket = await startS3Server()
  bucket.objects.set('/bucket/t.csv', Buffer.from('n\n1\n'))
  const session = bucket.issue(600_000)
  const oauth = await createOAuthServer(60)
  onTestFinished(() => oauth.stop())
  const root = await createProject({
    '.env': `QUACK_TOKEN="${QUACK_TOKEN}"
REFUSED_TOKEN="${REFUSED_TOKEN}"
LAKE_PASSWORD="${postgres.password}"
WRONG_PASSWORD="${WRONG_PASSWORD}"
S3_SECRET="${bucket.secret}"
CLIENT_SECRET="${CLIENT_SECRET}"
`,
    'session-token': session,
    'config.yaml': config({ quack, gone, bucket, oauth }),
    'models/a.sql': 'MODEL (name s.a, kind FULL, audits (not_null(columns := (x))));\nSELECT 1 AS x',
    'models/b.sql': "MODEL (name s.b, kind FULL);\nSELECT x::INTEGER AS x, 'no number'::INTEGER AS y FROM s.a",
    'models/c.sql':
      "MODEL (name s.c, kind FULL, tags (files));\nSELECT n FROM read_csv('s3://bucket/t.csv', header = true)",
  })
  const port = await freePort()
  const trace = join(root, 'trace.log')
  const worker = startWorkerProcess({
    address: server.server.address,
    taskQueue: 'secrets',
    project: root,
    slots: 8,
    metrics: `127.0.0.1:${port}`,
    trace,
  })
  await worker.ready

  const said: string[] = []
  const build = async (gateway: string): Promise<void> => {
    const handle = await server.client.workflow.start('buildProject', {
      taskQueue: 'secrets',
      workflowId: `build-${gateway}`,
      // What is out of reach is tried for minutes otherwise.
      workflowExecutionTimeout: '12s',
      args: [{ gateway, executionTime: '2024-02-01', ...(gateway === 'local' ? {} : { exclude: 'tag:files' }) }],
    })
    const error: unknown = await handle.result().catch((caught: unknown) => caught)
    // Model s.b fails wherever anything is built.
    expect(error, gateway).toBeInstanceOf(WorkflowFailedError)
    const text = historyText(await handle.fetchHistory())
    said.push(text, String((error as WorkflowFailedError).cause), JSON.stringify(error))
  }
  await Promise.all(GATEWAYS.map(build))
  for (const gateway of GATEWAYS) {
    const { stdout, stderr } = await runCli(['doctor', root, '--json', '--verbose', '--gateway', gateway])
    said.push(stdout, stderr)
  }
  const plan = await runCli(['plan', root, '--verbose', '--gateway', 'locked_out', '--lock-timeout', '1'])
  said.push(plan.stdout, plan.stderr)
  const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
  await worker.kill()
  const log = await readFile(trace, 'utf8')
  const files = await filesBelow(root)
  const kept = Buffer.concat(files.map(({ bytes }) => bytes)).toString('latin1')

  // The search would find what is there: each source tells of what was done.
  expect(said.join('\n')).toContain('no number')
  expect(metrics).toContain('millrace_connection_leases')
  expect(log).toContain('TRACE')
  expect(kept).toContain('millrace')
  expect(oauth.issued.length).toBeGreaterThan(0)
  expect(bucket.answered).toBeGreaterThan(0)

  const haystack = [...said, metrics, log, kept].join('\n')
  const secrets = [
    QUACK_TOKEN,
    REFUSED_TOKEN,
    WRONG_PASSWORD,
    PRINTED_TOKEN,
    CLIENT_SECRET,
    postgres.password,
    bucket.secret,
    session,
    ...oauth.issued,
  ]
  for (const secret of secrets) for (const form of formsOf(secret)) expect(haystack.includes(form), form).toBe(false)
})

/** As it may stand in SQL, JSON, an address or a payload. */
function formsOf(secret: string): string[] {
  return [
    secret,
    secret.replaceAll("'", "''"),
    secret.replaceAll("'", "\\'"),
    JSON.stringify(secret).slice(1, -1),
    encodeURIComponent(secret),
    Buffer.from(secret).toString('base64').replace(/=+$/, ''),
    Buffer.from(secret).toString('hex'),
  ]
}

interface Places {
  quack: { uri: string }
  gone: { uri: string }
  bucket: { endpoint: string; keyId: string }
  oauth: { tokenUrl: string }
}

function config({ quack, gone, bucket, oauth }: Places): string {
  const shared = { extension_directory: extensions }
  const s3 = { type: 's3', region: 'us-east-1', endpoint: bucket.endpoint, use_ssl: false, url_style: 'path' }
  const keys = { key_id: bucket.keyId, secret: { env: 'S3_SECRET' }, session_token: { file: 'session-token' } }
  const client = {
    token_url: oauth.tokenUrl,
    client_id: 'reader',
    client_secret: { env: 'CLIENT_SECRET' },
    scope: 'read',
  }
  const api = { type: 'http', scope: 'http://127.0.0.1:1/', bearer_token: { oauth2: client } }
  const printed = {
    command: [
      process.execPath,
      '-e',
      `console.log('${Array.from(PRINTED_TOKEN).toReversed().join('')}'.split('').reverse().join(''))`,
    ],
  }
  const other = { type: 'http', scope: 'http://127.0.0.1:2/', bearer_token: printed }
  const lake = { ...shared, type: 'ducklake', catalog: postgres.address('lake'), data_path: 'data' }
  const served = { ...shared, type: 'quack', disable_ssl: true }
  const gateways = {
    local: {
      ...shared,
      type: 'duckdb',
      database: 'w.duckdb',
      extensions: ['httpfs'],
      secrets: { bucket: { ...s3, ...keys }, api, other },
    },
    served: { ...served, uri: quack.uri, token: { env: 'QUACK_TOKEN' } },
    refused: { ...served, uri: quack.uri, token: { env: 'REFUSED_TOKEN' } },
    gone: { ...served, uri: gone.uri, token: { env: 'QUACK_TOKEN' } },
    lake: { ...lake, password: { env: 'LAKE_PASSWORD' } },
    locked_out: { ...lake, password: { env: 'WRONG_PASSWORD' } },
  }
  const all = Object.entries(gateways).map(([name, connection]) => [name, { connection }])
  return JSON.stringify({
    gateways: Object.fromEntries(all),
    default_gateway: 'local',
    model_defaults: { dialect: 'duckdb', start: '2024-01-01', cron: '@daily' },
  })
}

/** Not where the secrets come from, nor what DuckDB keeps of the server's own data. */
async function filesBelow(folder: string): Promise<{ name: string; bytes: Buffer }[]> {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true })
  const names = entries
    .filter((entry) => entry.isFile() && !['.env', 'session-token'].includes(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
  return Promise.all(names.map(async (name) => ({ name, bytes: await readFile(name) })))
}
