// `config from-dex --keys`: how to take over an issuer URL from a running Dex without one token failing.
import { formatDuration } from '#platform/config/duration.ts'
import type { BrokerConfig } from '../broker_config.ts'

/** Steps for an operator, with this configuration's URLs and times in them. */
export function explainKeyMove(config: BrokerConfig): string {
  const base = config.issuer.replace(/\/$/, '')
  const life = formatDuration(config.tokens.ttlSeconds)
  return `Moving ${config.issuer} from Dex to Sallyport on the same URL

Tokens that Dex has issued stay valid for up to ${life}. Relying parties verify them with the keys that stand under
${base}/keys, so these must go on to serve Dex's public keys beside ours until the last such token has expired.
Private keys are never moved: Dex's stay in Dex's storage, which is not opened; ours are made anew.

1. Prepare. Start Sallyport with this configuration on another address, reachable by you alone. It makes its first
   key. The issuer is the same, so nothing else changes when it takes the place of Dex.

2. Take Dex's public keys, last thing before the switch: Dex signs with a new key the moment that it makes one.

     curl -sf ${base}/keys > dex-keys.jwks.json

3. Serve them beside ours. In sallyport.yaml, or in the overlay of --dex-config:

     keys: { extraPublicKeysFile: dex-keys.jwks.json }

   Reload (SIGHUP, or by itself when the configuration changes) and see that both are there:

     curl -sf http://127.0.0.1:PORT${new URL(config.issuer).pathname.replace(/\/$/, '')}/keys | jq '[.keys[].kid]'

4. Switch all traffic at once, then stop Dex. As long as both answer under one name, a token of ours may meet the key
   set of Dex, which does not know it.

5. Wait. Dex lets its key set be cached for 10 minutes; a relying party that fetches on an unknown key (kube-apiserver
   and most libraries do) follows at once, one that does not, after these 10 minutes.

6. After ${life} remove extraPublicKeysFile.

What does not move: refresh tokens, sessions and codes of people who log in through Dex. They log in again.
Going back is the same switch the other way: Dex's storage is as it was; tokens of ours then fail until they are renewed.
`
}
