/** The embedded server that a project has running already, started by this or another process. */
import { setTimeout as delay } from 'node:timers/promises'
import { isPortOpen, readClusterId } from './probe-server.ts'
import { isProcessAlive } from './process-lock.ts'
import { readServerFile, type ServerFile } from './server-file.ts'

/**
 * Null unless `.millrace/server.json` names a server that answers, is this project's (and not a stranger on the same
 * port), and is not on its way out. A server on a busy machine gets 10 s to answer as long as its processes live.
 */
export async function findProjectServer(projectRoot: string): Promise<ServerFile | null> {
  const deadline = performance.now() + ANSWER_LIMIT_MS
  for (;;) {
    // Read anew every time: the server may be told to end while we wait.
    const file = await readServerFile(projectRoot)
    if (file === null || file.stopping || !isProcessAlive(file.pid) || !isProcessAlive(file.ownerPid)) return null
    // The file is written when the server answers, so a closed port means that it is gone (and its ids are used anew).
    if (!(await isPortOpen(file.address, PROBE_LIMIT_MS))) return null
    const clusterId = await readClusterId(file.address, PROBE_LIMIT_MS)
    if (clusterId !== null) return clusterId === file.clusterId && (await isSettled(projectRoot)) ? file : null
    if (performance.now() > deadline) return null
    await delay(100)
  }
}

const PROBE_LIMIT_MS = 2_000
const ANSWER_LIMIT_MS = 10_000

async function isSettled(projectRoot: string): Promise<boolean> {
  const file = await readServerFile(projectRoot)
  return file !== null && !file.stopping
}
