/** What this Millrace runs on. */
import { createRequire } from 'node:module'
import { STATE_VERSION } from '../../state/schema.ts'
import { withScratchDatabase } from '../scratch-database.ts'
import { versionText } from '../version.ts'
import { fail, failed, ok, warn, type Check } from './check.ts'

const OLDEST_NODE = [20, 3] as const

export async function checkVersions(): Promise<Check[]> {
  return [
    ok('millrace', `version ${versionText()}, state version ${STATE_VERSION}`),
    checkNode(process.versions.node),
    await checkDuckdb(),
    checkSdk(),
  ]
}

/** @param version e.g. `20.3.1` */
export function checkNode(version: string): Check {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const [oldestMajor, oldestMinor] = OLDEST_NODE
  const enough = major > oldestMajor || (major === oldestMajor && minor >= oldestMinor)
  if (enough) return ok('node', `version ${version}`)
  return fail('node', `version ${version}; at least ${OLDEST_NODE.join('.')} is needed`, 'Install a newer Node.js.')
}

/** Threads that queries leave to DNS, files and token refresh: fewer than this are blocked by them. */
const ENOUGH_THREADS = 16

/** @param setting the environment's UV_THREADPOOL_SIZE */
export function checkThreads(setting: string | undefined): Check {
  const name = 'libuv'
  const advice =
    'Set UV_THREADPOOL_SIZE=64 in the environment; workers of your own need it before their process starts.'
  if (setting === undefined || setting === '') {
    return warn(name, 'UV_THREADPOOL_SIZE is not set: 4 threads, which four running queries block', advice)
  }
  const threads = Number(setting)
  if (Number.isInteger(threads) && threads >= ENOUGH_THREADS) return ok(name, `${threads} threads`)
  return warn(
    name,
    `UV_THREADPOOL_SIZE is '${setting}': running queries may block DNS, files and token refresh`,
    advice,
  )
}

async function checkDuckdb(): Promise<Check> {
  try {
    const [row] = await withScratchDatabase((lease) => lease.rows<{ version: string }>('SELECT version() AS version'))
    return ok('duckdb', `version ${row?.version ?? 'unknown'}`)
  } catch (error) {
    return failed('duckdb', error, 'Install the dependencies anew on this machine: npm ci')
  }
}

function checkSdk(): Check {
  const read = createRequire(import.meta.url)
  const packages = ['client', 'worker', 'workflow', 'activity', 'common']
  const versions = packages.map((name) => (read(`@temporalio/${name}/package.json`) as { version: string }).version)
  const [first = ''] = versions
  if (new Set(versions).size === 1) return ok('temporal-sdk', `version ${first}`)
  const list = packages.map((name, index) => `${name} ${versions[index]}`).join(', ')
  return fail(
    'temporal-sdk',
    `packages of different versions: ${list}`,
    'Bring all @temporalio packages to one version.',
  )
}
