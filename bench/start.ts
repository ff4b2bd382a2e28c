/**
 * How soon a worker asks for work, beside a bare worker of the SDK; and how long the quickstart takes from nothing, embedded server
 * included, beside `dbt build` of the same models.
 * npm run bench:start -- [--runs 5]
 */
import { spawn } from 'node:child_process'
import { cp, mkdir, rm } from 'node:fs/promises'
import { loadavg } from 'node:os'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { workflowBundlePath } from '../src/index.ts'
import { startEmbeddedServer } from '../src/temporal/embedded-server.ts'
import { summarize, timeCommand } from './measure.ts'
import { createQuickstartDbt } from './quickstart-dbt.ts'
import { repositoryFolder, workFolder } from './work-folder.ts'

const { values } = parseArgs({ options: { runs: { type: 'string' } } })
const runs = Number(values.runs ?? '5')
const folder = path.join(workFolder, 'projects', 'start')
const quickstart = path.join(folder, 'quickstart')
/** As the operating guide has it: without it our worker starts twice. */
const THREADS = { UV_THREADPOOL_SIZE: '64' }

await timeCommand('npm', ['run', 'build'], { cwd: repositoryFolder })
await freshQuickstart()
console.log(await startTimes())
console.log(await quickstartTimes())

async function startTimes(): Promise<string> {
  const server = await startEmbeddedServer({ projectRoot: folder, onProgress: console.error })
  const { address } = server
  const serve = ['worker', quickstart, '--address', address]
  const workers: [string, string[]][] = [
    ['the SDK alone, with a bundle', ['node', 'bench/bare-worker.mjs', address, workflowBundlePath]],
    ['`node dist/bin.js worker`', ['node', 'dist/bin.js', ...serve]],
    ['`node --import tsx worker.ts`', ['node', '--import', 'tsx', 'worker.ts', ...serve.slice(1)]],
    ['`npx tsx worker.ts`', ['npx', 'tsx', 'worker.ts', ...serve.slice(1)]],
  ]
  const times = workers.map(([name]) => ({ name, ms: [] as number[] }))
  try {
    // In turns; the first round fills caches.
    for (let run = 0; run <= runs; run += 1) {
      for (const [index, [, command]] of workers.entries()) {
        const ms = await untilPolling(command)
        if (run > 0) times[index]?.ms.push(ms)
      }
    }
  } finally {
    await server.stop()
  }
  return table('from the start of the process until it asks for work', times)
}

/** Resolves with the time until it says so; it is gone then. */
async function untilPolling([program = '', ...args]: readonly string[]): Promise<number> {
  const startedMs = performance.now()
  const child = spawn(program, args, {
    cwd: repositoryFolder,
    env: { ...process.env, ...THREADS },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  const ended = new Promise((resolve) => child.once('close', resolve))
  try {
    return await new Promise((resolve, reject) => {
      let output = ''
      const read = (text: string): void => {
        output += text
        if (output.includes('Worker on task queue')) resolve(performance.now() - startedMs)
      }
      child.stdout.setEncoding('utf8').on('data', read)
      child.stderr.setEncoding('utf8').on('data', read)
      void ended.then(() => reject(new Error(`${program} ${args.join(' ')} ended:\n${output}`)))
    })
  } finally {
    if (child.exitCode === null && child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
    await ended
  }
}

async function quickstartTimes(): Promise<string> {
  const dbt = await createQuickstartDbt(path.join(folder, 'dbt'))
  const build = ['build', quickstart, '--quiet']
  const peers = [
    { name: '`dbt build`', ms: [] as number[], run: dbt.build },
    { name: '`node dist/bin.js build`', ms: [] as number[], run: () => millrace('node', ['dist/bin.js', ...build]) },
    {
      name: '`npx tsx client.ts build`',
      ms: [] as number[],
      run: () => millrace('npx', ['tsx', 'client.ts', ...build]),
    },
  ]
  for (let run = 0; run <= runs; run += 1) {
    for (const { ms, run: once } of peers) {
      const took = await once()
      if (run > 0) ms.push(took)
    }
  }
  return table('the quickstart from nothing: the whole command', peers)
}

async function millrace(program: string, args: readonly string[]): Promise<number> {
  await freshQuickstart()
  return (await timeCommand(program, args, { cwd: repositoryFolder })).wallMs
}

async function freshQuickstart(): Promise<void> {
  await rm(quickstart, { recursive: true, force: true })
  await mkdir(quickstart, { recursive: true })
  for (const name of ['config.yaml', 'models', 'seeds', 'audits']) {
    await cp(path.join(repositoryFolder, 'examples', 'quickstart', name), path.join(quickstart, name), {
      recursive: true,
    })
  }
}

/** The first is what the others are compared with. */
function table(title: string, times: readonly { name: string; ms: readonly number[] }[]): string {
  const spreads = times.map(({ name, ms }) => ({ name, spread: summarize(ms) }))
  const first = spreads[0]?.spread?.medianMs ?? NaN
  return [
    `${new Date().toISOString().slice(0, 10)}, ${runs} runs of each, in turns; median (least–most) in seconds; load average ${(loadavg()[0] ?? 0).toFixed(1)}.`,
    '',
    `| ${title} | | beside the first |`,
    '|---|---:|---:|',
    ...spreads.map(({ name, spread }) => {
      const [median = NaN, least = NaN, most = NaN] = [spread?.medianMs, spread?.minMs, spread?.maxMs]
      return `| ${name} | ${seconds(median)} (${seconds(least)}–${seconds(most)}) | ${(median / first).toFixed(2)} × |`
    }),
    '',
  ].join('\n')
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(2)
}
