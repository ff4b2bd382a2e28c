/** An open instance with what belongs to it: the gate of its file's checkpoints, and its end. */
import type { CheckpointGate } from './limits/checkpoint-gate.ts'
import { createCheckpointGate } from './limits/checkpoint-gate.ts'
import type { OpenedDatabase } from './databases/database.ts'

export interface Served {
  readonly opened: OpenedDatabase
  /** Null where nothing is checkpointed. */
  readonly gate: CheckpointGate | null
  /** Of the monotonic clock. */
  readonly openedAtMs: number
  /** All sessions must be closed before. */
  close(how: { checkpoint: boolean }): Promise<void>
}

/** @param onBroken the database is invalidated. @throws what `open` does. */
export async function serve(open: () => Promise<OpenedDatabase>, onBroken: (cause: unknown) => void): Promise<Served> {
  const opened = await open()
  try {
    const gate = await createGate(opened, onBroken)
    return {
      opened,
      gate,
      openedAtMs: performance.now(),
      close: async ({ checkpoint }) => {
        if (checkpoint) await gate?.checkpoint()
        await gate?.close()
        await opened.settled?.()
        opened.closeSync()
      },
    }
  } catch (error) {
    opened.closeSync()
    throw error
  }
}

async function createGate(opened: OpenedDatabase, onBroken: (cause: unknown) => void): Promise<CheckpointGate | null> {
  if (opened.path === null || !opened.capabilities.checkpoints) return null
  const connection = await opened.connectInstance()
  try {
    return await createCheckpointGate({ path: opened.path, connection, onBroken })
  } catch (error) {
    connection.disconnectSync()
    throw error
  }
}
