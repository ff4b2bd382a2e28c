/** Does a Temporal server answer there, within a limit? */
import { connect } from 'node:net'
import type { Connection } from '@temporalio/client'
import type { NativeConnectionOptions } from '@temporalio/worker'

/** What both a client's `Connection` and a worker's `NativeConnection` take. */
export type TemporalConnectionOptions = Pick<NativeConnectionOptions, 'tls' | 'apiKey' | 'metadata'> & {
  /** `host:port` */
  address: string
}

/** Rejects with the reason when no Temporal server answers within the limit or it refuses the credentials. */
export async function probeServer(options: TemporalConnectionOptions, limitMs: number): Promise<void> {
  const connection = await open({ ...options, connectTimeout: limitMs })
  await connection.close()
}

/**
 * The identity of the server's data, for a server on this machine; null when none answers within the limit.
 * A closed port is known at once: gRPC alone would wait a second before it tries a second time.
 */
export async function readClusterId(address: string, limitMs: number): Promise<string | null> {
  const deadline = performance.now() + limitMs
  if (!(await isPortOpen(address, limitMs))) return null
  let connection: Connection | null = null
  try {
    connection = await open({ address, connectTimeout: Math.max(1, deadline - performance.now()) })
    const { workflowService } = connection
    const remainingMs = Math.max(1, deadline - performance.now())
    const info = await connection.withDeadline(Date.now() + remainingMs, () => workflowService.getClusterInfo({}))
    return info.clusterId ?? null
  } catch {
    return null
  } finally {
    await connection?.close()
  }
}

/** The client is loaded when it is needed: a server that is being started starts meanwhile. */
async function open(options: TemporalConnectionOptions & { connectTimeout: number }): Promise<Connection> {
  const client = await import('@temporalio/client')
  return client.Connection.connect(options)
}

/** Whether something listens at `host:port`. */
export async function isPortOpen(address: string, limitMs: number): Promise<boolean> {
  const colon = address.lastIndexOf(':')
  const socket = connect({ host: address.slice(0, colon), port: Number(address.slice(colon + 1)), timeout: limitMs })
  const open = await new Promise<boolean>((resolve) => {
    socket.once('connect', () => resolve(true))
    socket.once('error', () => resolve(false))
    socket.once('timeout', () => resolve(false))
  })
  socket.destroy()
  return open
}
