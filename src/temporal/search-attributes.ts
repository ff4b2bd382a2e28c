/** Builds' search attributes on a server: which are missing, and how they get there. */
import type { Connection } from '@temporalio/client'
import { attributeGap, type AttributeGap, type SearchAttribute } from '../search-attributes.ts'

type Operator = Pick<Connection, 'operatorService'>

/** @throws when the server does not let us ask. */
export async function readAttributeGap(connection: Operator, namespace: string): Promise<AttributeGap> {
  const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace })
  return attributeGap(customAttributes ?? {})
}

/** @throws when the server has no room for them or does not let us. */
export async function addSearchAttributes(
  connection: Operator,
  namespace: string,
  attributes: readonly SearchAttribute[],
): Promise<void> {
  if (attributes.length === 0) return
  const searchAttributes = Object.fromEntries(attributes.map(({ name, code }) => [name, code]))
  await connection.operatorService.addSearchAttributes({ namespace, searchAttributes })
}

/** Adds what is missing; a server that does not let us goes on without. */
export async function provideSearchAttributes(address: string, namespace: string): Promise<void> {
  try {
    // The client is loaded when it is needed, as in every other place that starts a server.
    const client = await import('@temporalio/client')
    const connection = await client.Connection.connect({ address })
    try {
      const { missing } = await readAttributeGap(connection, namespace)
      await addSearchAttributes(connection, namespace, missing)
    } finally {
      await connection.close()
    }
  } catch {
    // Optional: builds work without them, and `doctor` says that they are missing.
  }
}
