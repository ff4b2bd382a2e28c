/** Who asks for a token, handed to the source: the activity's own context, without its being known what an activity is. */
export interface AuthContext {
  /** The asker no longer needs the token. */
  signal?: AbortSignal | undefined
  /** Called at least every second while the asker waits; the message names the credential, never a secret. */
  heartbeat?: ((message: string) => void) | undefined
  workflowId?: string | undefined
  runId?: string | undefined
  activityId?: string | undefined
  /** Counts from 1. */
  attempt?: number | undefined
  namespace?: string | undefined
  /** What a deployment passes along with the work, such as a tenant's name. */
  values?: Readonly<Record<string, string>> | undefined
}
