// Who asks about a token of ours, at introspection and revocation: the credentials, limits and words of the token endpoint.
import { isFault } from '#core/audit_event.ts'
import type { DecisionFacts } from '#core/audit_event.ts'
import { readCredentials } from '#core/oauth/credentials.ts'
import type { Form } from '#core/oauth/form.ts'
import { deny } from '#core/result.ts'
import type { Result } from '#core/result.ts'
import { callerNetwork } from '#platform/http/client_address.ts'
import { authenticateClient } from '../clients/authenticate_client.ts'
import type { AuthenticatedClient, ClientDeps } from '../clients/authenticate_client.ts'
import { limitClient } from '../clients/limit_client.ts'
import type { ClientLimits } from '../clients/limit_client.ts'
import type { GrantDeps } from '../grants/grant_deps.ts'
import { claimUses, useOf } from '../grants/replay.ts'
import type { RawRequest } from './token_endpoint.ts'

export type AskerDeps = ClientDeps & Pick<GrantDeps, 'audiences' | 'store' | 'clock'>

/** `place`: where a job's token that is good once is used by asking, beside all audiences. */
export async function authenticateAsker(
  raw: Pick<RawRequest, 'authorization' | 'peer'>,
  form: Form,
  place: string,
  deps: ClientLimits & { readonly clientDeps: AskerDeps },
  facts: DecisionFacts,
): Promise<Result<AuthenticatedClient>> {
  const { clientDeps } = deps
  const credentials = readCredentials(raw.authorization, form)
  if (!credentials.ok) return credentials
  const limited = limitClient(credentials.value, raw.peer, clientDeps.clients, deps)
  if (!limited.ok) return limited
  const shown = {
    credentials: credentials.value,
    subjectToken: '',
    network: callerNetwork(raw.peer),
    memory: limited.value,
  }
  const authenticated = await authenticateClient(shown, clientDeps)
  if (!authenticated.ok) return authenticated
  const { client, method, job } = authenticated.value
  facts.client = client.id
  facts.clientAuth = method
  if (job === undefined) return authenticated
  const use = useOf(job.subject, job.connector, job.grant, clientDeps.clock)
  const claim = await claimUses([use], [place], { store: clientDeps.store })
  if (claim.ok) return authenticated
  if (isFault(claim.denial)) return claim
  return deny({ reason: 'client_assertion_invalid', client: client.id, cause: claim.denial })
}
