/** Whether the server can list builds by project, environment and status; `--fix` sees to it. Builds need none of it. */
import { Connection } from '@temporalio/client'
import { cliType, type AttributeGap, type SearchAttribute } from '../../search-attributes.ts'
import type { FoundServer } from '../../temporal/find-server.ts'
import { addSearchAttributes, readAttributeGap } from '../../temporal/search-attributes.ts'
import { fail, ok, warn, type Check } from './check.ts'

const NAME = 'search-attributes'

export async function checkSearchAttributes(server: FoundServer, { fix }: { fix: boolean }): Promise<Check> {
  const { namespace, connectionOptions } = server
  const connection = await Connection.connect(connectionOptions)
  try {
    const gap = await readAttributeGap(connection, namespace)
    return fix && gap.missing.length > 0 ? await register(connection, namespace, gap) : judge(gap)
  } catch (error) {
    return warn(NAME, `the server does not tell which it knows: ${reasonOf(error)}`, 'Builds work without them.')
  } finally {
    await connection.close()
  }
}

function judge({ missing, foreign }: AttributeGap): Check {
  if (foreign.length > 0) {
    const expected = foreign.map((one) => `${one.name} as ${cliType(one)}`).join(', ')
    return warn(
      NAME,
      `expected ${expected}; the server has another type under that name`,
      'Builds work without them. Whoever administers the namespace can remove and register them anew.',
    )
  }
  if (missing.length === 0) return ok(NAME, 'builds can be listed by project, environment, status and failed models')
  return warn(
    NAME,
    `not registered: ${names(missing)}; builds work without them, and cannot be listed by project or status`,
    '`doctor --fix` registers them.',
  )
}

async function register(connection: Connection, namespace: string, { missing, foreign }: AttributeGap): Promise<Check> {
  try {
    await addSearchAttributes(connection, namespace, missing)
  } catch (error) {
    return fail(NAME, `not registered: ${names(missing)}: ${reasonOf(error)}`, byHand(namespace, missing))
  }
  return foreign.length > 0 ? judge({ missing: [], foreign }) : ok(NAME, `registered now: ${names(missing)}`)
}

function byHand(namespace: string, attributes: readonly SearchAttribute[]): string {
  const options = attributes.map((one) => `--name ${one.name} --type ${cliType(one)}`).join(' ')
  return `Whoever administers the namespace can: temporal operator search-attribute create --namespace ${namespace} ${options}`
}

function names(attributes: readonly SearchAttribute[]): string {
  return attributes.map(({ name }) => name).join(', ')
}

/** Of a gRPC error the part that says something. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return 'details' in error && typeof error.details === 'string' && error.details !== '' ? error.details : error.message
}
