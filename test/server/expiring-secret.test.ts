/** A build against a server whose tokens live for seconds: every step gets one that is good, and none of them is kept. */
import { randomUUID } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, expect, it } from 'vitest'
import type { BuildReport } from '../../src/payloads.ts'
import { runCli } from '../helpers/cli.ts'
import { extensionDirectory } from '../helpers/extensions.ts'
import { startHttpServer } from '../helpers/http-server.ts'
import { createProject } from '../helpers/project.ts'

/** Layers of models: each reads one of the layer before. */
const LAYERS = 8
const WIDTH = 4
const MODELS = LAYERS * WIDTH
const LIFE_MS = 2_000
/** The server takes its time with a table, so that the layers outlive several tokens on any machine. */
const ANSWER_MS = 600

let extensions = ''
beforeAll(async () => {
  extensions = await extensionDirectory('httpfs')
}, 120_000)

it('a build outlives its tokens: no step fails, each token is fetched once, none is printed or kept', async () => {
  const server = await startServer()
  const root = await createProject({
    'print-token.mjs': `const answer = await fetch('${server.url}token', { method: 'POST' }); console.log(await answer.text())`,
    'config.yaml': `gateways:
  local:
    connection:
      type: duckdb
      database: w.duckdb
      concurrent_tasks: 16
      extensions: [httpfs]
      extension_directory: ${extensions}
      secrets:
        api: { type: http, scope: '${server.url}', bearer_token: { command: [${process.execPath}, print-token.mjs] } }
`,
    ...Object.fromEntries(
      Array.from({ length: MODELS }, (_, nth) => [
        `models/m${nth}.sql`,
        `MODEL (name s.m${nth}, kind FULL);
SELECT t.n FROM read_csv('${server.url}t${nth}.csv', header = true) AS t
${nth < WIDTH ? '' : `JOIN s.m${nth - WIDTH} AS before ON before.n = t.n`}`,
      ]),
    ),
  })

  const built = await runCli(['build', root, '--json', '--verbose'])

  expect(built, built.stderr).toMatchObject({ code: 0 })
  const report = JSON.parse(built.stdout) as BuildReport
  expect(report.counts).toMatchObject({ success: MODELS, error: 0 })
  expect(report.models.map(({ rows }) => rows)).toEqual(report.models.map(() => 2))
  // The build has outlived more than one token, and nobody fetched without need.
  const lives = (report.durationMs ?? 0) / (LIFE_MS * 0.8)
  expect(lives).toBeGreaterThan(2)
  expect(server.issued.length).toBeGreaterThan(2)
  expect(server.issued.length).toBeLessThanOrEqual(Math.ceil(lives) + 1 + server.refused.size)

  const kept = Buffer.concat([Buffer.from(built.stdout + built.stderr), ...(await filesBelow(root))])
  expect(kept.includes('s.m31')).toBe(true)
  for (const token of server.issued) expect(kept.includes(token)).toBe(false)
})

async function filesBelow(folder: string): Promise<Buffer[]> {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true })
  const files = entries.filter((entry) => entry.isFile())
  return Promise.all(files.map((entry) => readFile(join(entry.parentPath, entry.name))))
}

interface TokenServer {
  url: string
  issued: string[]
  /** Tokens that came too late. */
  refused: Set<string>
}

/** Issues tokens that live for seconds, and serves tables to whoever has one. */
async function startServer(): Promise<TokenServer> {
  const ends = new Map<string, number>()
  const issued: string[] = []
  const refused = new Set<string>()
  const url = await startHttpServer((request, response) => {
    if (request.url === '/token') {
      const token = randomUUID()
      const endMs = Date.now() + LIFE_MS
      ends.set(token, endMs)
      issued.push(token)
      response.end(JSON.stringify({ token, expires_at: endMs / 1000 }))
      return
    }
    const token = request.headers.authorization?.replace('Bearer ', '') ?? ''
    if ((ends.get(token) ?? 0) < Date.now()) {
      refused.add(token)
      response.writeHead(401).end()
      return
    }
    const body = 'n\n1\n2\n'
    response.writeHead(200, { 'content-type': 'text/csv', 'content-length': body.length })
    if (request.method === 'HEAD') response.end()
    else setTimeout(() => response.end(body), ANSWER_MS)
  })
  return { url, issued, refused }
}
