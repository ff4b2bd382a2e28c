/**
 * A command that runs queries or a server must not outlive whoever started it. Launchers (npx, tsx, a shell, our own
 * restart with more threads) stand between the two, and a SIGKILL reaches only one of them.
 */
import { readFileSync } from 'node:fs'

const POLL_MS = 500
/** Scripts that only start others of this list, and our own commands, which start themselves again. */
const LAUNCHER = /(^|[\\/])(npx-cli\.js|npm-cli\.js|tsx|client\.[tj]s|worker\.[tj]s|demo\.[tj]s|bin\.js|millrace)$/

/** Ends this process at once when one of the launchers above it is gone. Linux sees the whole chain, other systems the parent. */
export function endWithLaunchers(): void {
  const chain = launcherChain()
  const timer = setInterval(() => {
    // SIGKILL: nothing may keep a process alive that nobody waits for; an open transaction is rolled back by the next owner of the file.
    if (chain.some(({ pid, parent }) => parentOf(pid) !== parent)) process.kill(process.pid, 'SIGKILL')
  }, POLL_MS)
  timer.unref()
}

interface Link {
  pid: number
  parent: number
}

/** From this process up to the last launcher, each with the parent it must keep. */
function launcherChain(): Link[] {
  const chain: Link[] = []
  let pid = process.pid
  for (;;) {
    const parent = parentOf(pid)
    if (parent === null || parent <= 1 || !isLauncher(parent)) return chain
    chain.push({ pid, parent })
    pid = parent
  }
}

function parentOf(pid: number): number | null {
  if (pid === process.pid) return process.ppid
  try {
    // The second field is a name in parentheses that may hold anything; the parent is the second field behind it.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
  } catch {
    return null
  }
}

/** A shell is one only between npm and what npm runs: in other hands it may put us into the background and leave. */
function isLauncher(pid: number): boolean {
  const [program = '', ...args] = commandOf(pid)
  if (isNpm(program)) return true
  if (/(^|\/)(sh|dash|bash)$/.test(program)) return isNpm(commandOf(parentOf(pid) ?? 0)[0] ?? '')
  return /(^|[\\/])node(\.exe)?$/.test(program) && args.some((arg) => LAUNCHER.test(arg))
}

/** npm calls its process `npm exec …`, `npm run …`. */
function isNpm(program: string): boolean {
  return program.startsWith('npm ')
}

function commandOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
  } catch {
    return []
  }
}
