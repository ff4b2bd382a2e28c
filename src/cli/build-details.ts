/** What Temporal's page of a build says of it from its start on, whatever becomes of it: Markdown without tables. */
import { hostname, userInfo } from 'node:os'
import type { BuildInput } from '../payloads.ts'

/** @param input of a build that is started by hand, under this id. */
export function buildDetails(input: BuildInput, workflowId: string): string {
  const {
    project = '',
    environment = 'prod',
    select,
    exclude,
    start,
    end,
    gateway,
    fullRefresh,
    restate,
    retryOf,
  } = input
  const said: [string, string | undefined][] = [
    ['Models', select ?? (isWhole(input) ? 'all' : undefined)],
    ['Restated', restate?.join(' ')],
    ['Without', exclude],
    ['What was left of', retryOf],
    ['From', start],
    ['To', end],
    ['Gateway', gateway],
    ['Full refresh', fullRefresh === true ? 'yes' : undefined],
  ]
  return [
    `Project ${code(project)}, environment ${code(environment)}`,
    '',
    ...said.flatMap(([name, value]) => (value === undefined ? [] : [`- ${name}: ${code(value)}`])),
    `- Started by ${code(userName())} on ${code(hostname())}`,
    `- To follow it: ${code(`client.ts watch ${workflowId}`)}`,
    `- To steer it: ${code(`client.ts pause|resume|retry|cancel ${workflowId}`)}, or the updates of this page (More Actions)`,
    // The page's frame is one line too low, and hides the last one.
    '',
    '\u00A0',
  ].join('\n')
}

function isWhole({ exclude, restate, retryOf }: BuildInput): boolean {
  return exclude === undefined && restate === undefined && retryOf === undefined
}

/** A container's user may have no name. */
function userName(): string {
  try {
    return userInfo().username
  } catch {
    return String(process.getuid?.() ?? 'somebody')
  }
}

function code(text: string): string {
  return text.includes('`') ? `\`\` ${text} \`\`` : `\`${text}\``
}
