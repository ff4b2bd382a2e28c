import { relative } from 'node:path'
import type { CommandContext } from './command.ts'

/**
 * The command line that goes on with the same project and server, for a person to type.
 * @param workflowId left out where it is what the verb means without one.
 */
export function followUp({ root, options }: CommandContext, verb: string, workflowId?: string): string {
  const near = relative(process.cwd(), root)
  const folder = near.startsWith('..') ? root : near
  const named = {
    '--address': options.address,
    '--namespace': options.namespace,
    '--task-queue': options.taskQueue,
    '--gateway': options.gateway,
    '--environment': options.environment === 'prod' ? null : options.environment,
  }
  const words = Object.entries(named).flatMap(([option, value]) => (value === null ? [] : [option, value]))
  const usual =
    workflowId === undefined ||
    /^millrace\/[^/]+\/(?<environment>[^/]+)$/.exec(workflowId)?.groups?.['environment'] === options.environment
  const id = usual ? [] : [workflowId]
  return ['client.ts', verb, ...(folder === '' ? [] : [folder]), ...id, ...words].map(quoted).join(' ')
}

function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`
}
