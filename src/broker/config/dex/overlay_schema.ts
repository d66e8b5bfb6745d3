// The overlay of a Dex configuration (`--config`): by id, what Dex has no words for. Its parts are those of
// sallyport.yaml, with the same names and the same descriptions.
import { Type } from '#platform/config/schema_type.ts'
import type { Static } from '#platform/config/schema_type.ts'
import { ClientSchema } from '../client_schema.ts'
import { ConnectorSchema } from '../connector_schema.ts'
import { names } from '../field_schema.ts'
import { KubeSchema } from '../kube_schema.ts'
import { PolicySchema } from '../policy_schema.ts'
import {
  AuditSchema,
  AudienceSchema,
  KeysSchema,
  LimitsSchema,
  LogSchema,
  SallyportSchema,
} from '../schema.ts'
import { StoreSchema } from '../store_schema.ts'

const connector = ConnectorSchema.properties
const client = ClientSchema.properties
const audience = AudienceSchema.properties

export const OverlayConnectorSchema = Type.Object({
  type: Type.Optional(connector.type),
  audiences: connector.audiences,
  strictAudience: connector.strictAudience,
  trustedHosts: connector.trustedHosts,
  algorithms: connector.algorithms,
  clockSkew: connector.clockSkew,
  maxAge: connector.maxAge,
  maxLifetime: connector.maxLifetime,
  singleUse: connector.singleUse,
  whenStoreFails: connector.whenStoreFails,
})

export const OverlayClientSchema = Type.Object({
  auth: Type.Optional(client.auth),
  grants: client.grants,
  defaultAudiences: Type.Optional(
    names('Audiences of a request that names none. The client may ask for them from then on.'),
  ),
  subject: client.subject,
  ttl: client.ttl,
})

export const OverlayAudienceSchema = Type.Object({
  profile: audience.profile,
  clients: Type.Optional(names('Clients that may ask for it, besides those of trustedPeers.')),
  resources: audience.resources,
  maxTtl: audience.maxTtl,
})

export const OverlaySchema = Type.Object(
  {
    $schema: Type.Optional(
      Type.String({ description: 'For editors: path or URL of sallyport-overlay.schema.json.' }),
    ),
    issuer: Type.Optional({
      ...SallyportSchema.properties.issuer,
      description: 'Only where the Dex configuration is a fragment without one.',
    }),
    connectors: Type.Optional(
      Type.Record(OverlayConnectorSchema, { description: 'Id of a connector -> what is added to it.' }),
    ),
    clients: Type.Optional(
      Type.Record(OverlayClientSchema, { description: 'Id of a static client -> what is added to it.' }),
    ),
    audiences: Type.Optional(
      Type.Record(OverlayAudienceSchema, {
        description: 'Id of a static client as audience -> what is added to it.',
      }),
    ),
    policies: Type.Optional(
      Type.Array(PolicySchema, {
        description:
          'As in sallyport.yaml. A connector that a policy names accepts nothing else from then on.',
      }),
    ),
    store: Type.Optional(StoreSchema),
    keys: Type.Optional(KeysSchema),
    limits: Type.Optional(LimitsSchema),
    log: Type.Optional(LogSchema),
    audit: Type.Optional(AuditSchema),
    kube: Type.Optional(KubeSchema),
  },
  { title: 'overlay of a Dex configuration', description: 'What a Dex configuration has no words for.' },
)

export type OverlayConnector = Static<typeof OverlayConnectorSchema>
export type OverlayClient = Static<typeof OverlayClientSchema>
export type OverlayAudience = Static<typeof OverlayAudienceSchema>
