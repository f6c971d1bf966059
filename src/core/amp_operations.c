/*
 * The table of operations.  Its order may change with any build: grants and
 * configuration name operations by their operationId.
 */

#include "amp_operations.h"


#define OP(api, method, path, id, tag, class, project, group, ttl, reads,     \
    writes, query, secret_query, state_query, body)                           \
    { AMP_API_##api, AMP_METHOD_##method, path, id, tag, AMP_CLASS_##class,   \
      AMP_IN_##project, AMP_IN_##group, ttl, reads, writes, query,            \
      secret_query, state_query, body }

#define P        "/projects/{projectIdOrName}"
#define F(name)  AMP_F(name)


/*
 * api, method, path, operationId, tag, class, project, group, ttl, reads,
 * writes, query, secret query, state query, body.
 *
 * An operation reads also the resources that its answer embeds: an installation
 * contains its connection and group, a connection its provider app and group,
 * an integration its latest revision.  An operation writes also the resources
 * that Ampersand may remove with its own.  A GET writes only with a parameter
 * of its state query.  generateUploadUrl is a GET of the class "write": its
 * answer permits an upload of a deployment.
 */

static const amp_operation_t  amp_table[] = {
    OP(PLATFORM, POST, "/oauth-connect", "oauthConnect", "OAuth", WRITE, BODY, BODY, 0, 0, F(CONNECTIONS) | F(INSTALLATIONS) | F(GROUPS), "", "", "", "projectIdOrName!,provider!,groupRef!,groupName,consumerRef!,consumerName,providerWorkspaceRef,providerMetadata,providerAppId,enableCSRFProtection"),
    OP(PLATFORM, POST, "/custom-auth/connect", "customAuthConnect", "Connection", WRITE, BODY, BODY, 0, 0, F(CONNECTIONS) | F(INSTALLATIONS) | F(GROUPS), "", "", "", "projectIdOrName!,provider,groupRef,groupName,consumerRef,consumerName,providerMetadata,providerAppId,customAuth,sessionId,callbackParams"),
    OP(PLATFORM, PATCH, P "/connections/{connectionId}:oauth-update", "oauthUpdate", "OAuth", WRITE, PATH, NOWHERE, 0, 0, F(CONNECTIONS) | F(INSTALLATIONS), "", "", "", ""),
    OP(PLATFORM, GET, "/projects", "listProjects", "Project", READ, NOWHERE, NOWHERE, 60, F(PROJECTS), 0, "", "", "", ""),
    OP(PLATFORM, POST, "/projects", "createProject", "Project", NONE, NOWHERE, NOWHERE, 0, 0, 0, "", "", "", "appName!,name!,orgId!"),
    OP(PLATFORM, GET, P, "getProject", "Project", READ, PATH, NOWHERE, 60, F(PROJECTS), 0, "includeEntitlements", "", "", ""),
    OP(PLATFORM, PATCH, P, "updateProject", "Project", WRITE, PATH, NOWHERE, 0, 0, F(PROJECTS), "", "", "", "updateMask!,project!"),
    OP(PLATFORM, GET, P "/provider-apps", "listProviderApps", "Provider App", READ, PATH, NOWHERE, 60, F(PROVIDER_APPS), 0, "", "", "", ""),
    OP(PLATFORM, POST, P "/provider-apps", "createProviderApp", "Provider App", WRITE, PATH, NOWHERE, 0, 0, F(PROVIDER_APPS) | F(CONNECTIONS), "", "", "", "externalRef,provider!,clientId!,clientSecret!,scopes,metadata"),
    OP(PLATFORM, DELETE, P "/provider-apps/{providerAppId}", "deleteProviderApp", "Provider App", WRITE, PATH, NOWHERE, 0, 0, F(PROVIDER_APPS) | F(CONNECTIONS), "", "", "", ""),
    OP(PLATFORM, PATCH, P "/provider-apps/{providerAppId}", "updateProviderApp", "Provider App", WRITE, PATH, NOWHERE, 0, 0, F(PROVIDER_APPS) | F(CONNECTIONS), "", "", "", "updateMask!,providerApp!"),
    OP(PLATFORM, GET, P "/integrations", "listIntegrations", "Integration", READ, PATH, NOWHERE, 60, F(INTEGRATIONS) | F(REVISIONS), 0, "", "", "", ""),
    OP(PLATFORM, POST, P "/integrations", "createIntegration", "Integration", WRITE, PATH, NOWHERE, 0, 0, F(INTEGRATIONS) | F(REVISIONS), "", "", "", "name!,provider!,latestRevision!"),
    OP(PLATFORM, GET, P "/integrations/{integrationIdOrName}", "getIntegration", "Integration", READ, PATH, NOWHERE, 60, F(INTEGRATIONS) | F(REVISIONS), 0, "", "", "", ""),
    OP(PLATFORM, DELETE, P "/integrations/{integrationIdOrName}", "deleteIntegration", "Integration", WRITE, PATH, NOWHERE, 0, 0, F(INTEGRATIONS) | F(REVISIONS) | F(INSTALLATIONS) | F(OPERATIONS), "", "", "", ""),
    OP(PLATFORM, PUT, P "/integrations:batch", "batchUpsertIntegrations", "Integration", WRITE, PATH, NOWHERE, 0, 0, F(INTEGRATIONS) | F(REVISIONS) | F(INSTALLATIONS), "destructive", "", "", "sourceZipUrl,sourceYaml"),
    OP(PLATFORM, POST, P "/integrations/{integrationId}/revisions", "createRevision", "Revision", WRITE, PATH, NOWHERE, 0, 0, F(REVISIONS) | F(INTEGRATIONS) | F(INSTALLATIONS), "destructive", "", "", "sourceZipUrl,sourceYaml"),
    OP(PLATFORM, GET, P "/integrations/{integrationId}/revisions/{revisionId}:hydrate", "getHydratedRevision", "Revision", READ, PATH, NOWHERE, 60, F(REVISIONS) | F(INTEGRATIONS) | F(CONNECTIONS) | F(OBJECTS), 0, "connectionId!", "", "", ""),
    OP(PLATFORM, GET, P "/integrations/{integrationId}/installations", "listInstallations", "Installation", READ, PATH, QUERY, 30, F(INSTALLATIONS) | F(CONNECTIONS) | F(GROUPS), 0, "groupRef", "", "", ""),
    OP(PLATFORM, POST, P "/integrations/{integrationId}/installations", "createInstallation", "Installation", WRITE, PATH, BODY, 0, 0, F(INSTALLATIONS) | F(CONNECTIONS) | F(GROUPS) | F(OPERATIONS), "skipSampling", "", "", "groupRef!,connectionId,config!"),
    OP(PLATFORM, GET, P "/integrations/{integrationId}/installations/{installationId}", "getInstallation", "Installation", READ, PATH, NOWHERE, 30, F(INSTALLATIONS) | F(CONNECTIONS) | F(GROUPS), 0, "", "", "", ""),
    OP(PLATFORM, DELETE, P "/integrations/{integrationId}/installations/{installationId}", "deleteInstallation", "Installation", WRITE, PATH, NOWHERE, 0, 0, F(INSTALLATIONS) | F(CONNECTIONS) | F(OPERATIONS), "", "", "", ""),
    OP(PLATFORM, PATCH, P "/integrations/{integrationId}/installations/{installationId}", "updateInstallation", "Installation", WRITE, PATH, NOWHERE, 0, 0, F(INSTALLATIONS) | F(OPERATIONS), "skipSampling", "", "", "updateMask!,installation!"),
    OP(PLATFORM, PATCH, P "/integrations/{integrationId}/objects/{objectName}/config-content", "patchObjectConfigContent", "Installation", WRITE, PATH, BODY, 0, 0, F(INSTALLATIONS) | F(OPERATIONS), "", "", "", "groupRef!,action!,changes!,installationId!"),
    OP(PLATFORM, GET, P "/integrations/{integrationId}/objects/{objectName}/metadata", "getObjectMetadataForInstallation", "Objects & Fields", READ, PATH, QUERY, 300, F(OBJECTS) | F(INTEGRATIONS) | F(REVISIONS) | F(INSTALLATIONS) | F(CONNECTIONS), 0, "groupRef!,excludeReadOnly", "", "", ""),
    OP(PLATFORM, GET, P "/installations", "listInstallationsForProject", "Installation", READ, PATH, QUERY, 30, F(INSTALLATIONS) | F(CONNECTIONS) | F(GROUPS), 0, "groupRef", "", "", ""),
    OP(PLATFORM, GET, P "/providers/{provider}/objects/{objectName}/metadata", "getObjectMetadataForConnection", "Objects & Fields", READ, PATH, QUERY, 300, F(OBJECTS) | F(CONNECTIONS), 0, "groupRef!,excludeReadOnly", "", "", ""),
    OP(PLATFORM, PUT, P "/integrations/{integrationId}/object-metadata", "upsertMetadataForInstallation", "Objects & Fields", WRITE, PATH, BODY, 0, 0, F(OBJECTS), "", "", "", "groupRef!,fields!"),
    OP(PLATFORM, PUT, P "/providers/{provider}/object-metadata", "upsertMetadataForConnection", "Objects & Fields", WRITE, PATH, BODY, 0, 0, F(OBJECTS), "", "", "", "groupRef!,fields!"),
    OP(PLATFORM, GET, P "/integrations/{integrationId}/installations/{installationId}/operations", "listOperations", "Operation", READ, PATH, NOWHERE, 5, F(OPERATIONS) | F(INSTALLATIONS), 0, "pageSize,pageToken", "", "", ""),
    OP(PLATFORM, GET, P "/integrations/{integrationId}/installations/{installationId}/objects/{objectName}/backfill-progress", "getBackfillProgress", "Operation", READ, PATH, NOWHERE, 5, F(OPERATIONS) | F(INSTALLATIONS), 0, "", "", "", ""),
    OP(PLATFORM, GET, P "/operations/{operationId}", "getOperation", "Operation", READ, PATH, NOWHERE, 5, F(OPERATIONS), 0, "", "", "", ""),
    OP(PLATFORM, GET, P "/operations/{operationId}/logs", "listOperationLogs", "Operation", READ, PATH, NOWHERE, 5, F(OPERATIONS), 0, "", "", "", ""),
    OP(PLATFORM, GET, "/providers", "listProviders", "Provider", CATALOG, NOWHERE, NOWHERE, 3600, F(PROVIDERS), 0, "", "", "", ""),
    OP(PLATFORM, GET, "/providers/{provider}", "getProvider", "Provider", CATALOG, NOWHERE, NOWHERE, 3600, F(PROVIDERS), 0, "", "", "", ""),
    OP(PLATFORM, GET, P "/api-keys", "listApiKeys", "API Key", SECRETS, PATH, NOWHERE, 0, F(API_KEYS), 0, "active", "", "", ""),
    OP(PLATFORM, POST, P "/api-keys", "createApiKey", "API Key", SECRETS, PATH, NOWHERE, 0, 0, F(API_KEYS), "", "", "", "label!,scopes"),
    OP(PLATFORM, GET, P "/api-keys/{apiKey}", "getApiKey", "API Key", SECRETS, PATH, NOWHERE, 0, F(API_KEYS), 0, "", "", "", ""),
    OP(PLATFORM, DELETE, P "/api-keys/{apiKey}", "deleteApiKey", "API Key", SECRETS, PATH, NOWHERE, 0, 0, F(API_KEYS), "", "", "", ""),
    OP(PLATFORM, PATCH, P "/api-keys/{apiKey}", "updateApiKey", "API Key", SECRETS, PATH, NOWHERE, 0, 0, F(API_KEYS), "", "", "", "updateMask!,apiKey!"),
    OP(PLATFORM, GET, P "/connections", "listConnections", "Connection", READ, PATH, QUERY, 30, F(CONNECTIONS) | F(PROVIDER_APPS) | F(GROUPS), 0, "provider,groupRef,consumerRef", "", "", ""),
    OP(PLATFORM, POST, P "/connections:generate", "generateConnection", "Connection", WRITE, PATH, BODY, 0, 0, F(CONNECTIONS) | F(INSTALLATIONS) | F(GROUPS), "", "", "", "providerWorkspaceRef,providerMetadata,groupName,groupRef,consumerName,consumerRef,provider,apiKey,customAuth,basicAuth,oauth2ClientCredentials,oauth2PasswordCredentials,oauth2AuthorizationCode"),
    OP(PLATFORM, GET, P "/connections/{connectionId}", "getConnection", "Connection", READ, PATH, NOWHERE, 30, F(CONNECTIONS) | F(PROVIDER_APPS) | F(GROUPS), F(CONNECTIONS), "includeCreds,includeRefreshToken,refresh", "includeCreds,includeRefreshToken", "refresh", ""),
    OP(PLATFORM, PATCH, P "/connections/{connectionId}", "updateConnection", "Connection", WRITE, PATH, NOWHERE, 0, 0, F(CONNECTIONS) | F(INSTALLATIONS), "", "", "", "updateMask!,connection!"),
    OP(PLATFORM, DELETE, P "/connections/{connectionId}", "deleteConnection", "Connection", WRITE, PATH, NOWHERE, 0, 0, F(CONNECTIONS) | F(INSTALLATIONS), "", "", "", ""),
    OP(PLATFORM, POST, P "/destinations", "createDestination", "Destination", WRITE, PATH, NOWHERE, 0, 0, F(DESTINATIONS), "", "", "", "name!,type!,secrets,metadata!"),
    OP(PLATFORM, GET, P "/destinations", "listDestinations", "Destination", READ, PATH, NOWHERE, 60, F(DESTINATIONS), 0, "", "", "", ""),
    OP(PLATFORM, GET, P "/destinations/{destination}", "getDestination", "Destination", READ, PATH, NOWHERE, 60, F(DESTINATIONS), F(DESTINATIONS), "includeSecrets,rotate", "includeSecrets", "rotate", ""),
    OP(PLATFORM, PATCH, P "/destinations/{destination}", "updateDestination", "Destination", WRITE, PATH, NOWHERE, 0, 0, F(DESTINATIONS) | F(ROUTES), "", "", "", "updateMask!,destination!"),
    OP(PLATFORM, DELETE, P "/destinations/{destination}", "deleteDestination", "Destination", WRITE, PATH, NOWHERE, 0, 0, F(DESTINATIONS) | F(ROUTES), "", "", "", ""),
    OP(PLATFORM, GET, "/generate-upload-url", "generateUploadUrl", "Upload URL", WRITE, NOWHERE, NOWHERE, 0, 0, 0, "", "", "", ""),
    OP(PLATFORM, POST, "/orgs", "createOrg", "Org", NONE, NOWHERE, NOWHERE, 0, 0, 0, "", "", "", "label!"),
    OP(PLATFORM, GET, "/orgs/{orgId}", "getOrg", "Org", NONE, NOWHERE, NOWHERE, 0, 0, 0, "", "", "", ""),
    OP(PLATFORM, PATCH, "/orgs/{orgId}", "updateOrg", "Org", NONE, NOWHERE, NOWHERE, 0, 0, 0, "", "", "", "updateMask!,org!"),
    OP(PLATFORM, GET, "/orgs/{orgId}/builders", "listOrgBuilders", "Org", NONE, NOWHERE, NOWHERE, 0, 0, 0, "", "", "", ""),
    OP(PLATFORM, POST, "/orgs/{orgId}/invites", "createOrgInvite", "Org", NONE, NOWHERE, NOWHERE, 0, 0, 0, "", "", "", "email!"),
    OP(PLATFORM, GET, "/orgs/{orgId}/invites", "listOrgInvites", "Org", NONE, NOWHERE, NOWHERE, 0, 0, 0, "", "", "", ""),
    OP(PLATFORM, GET, "/orgs/{orgId}/invites/{inviteId}", "getOrgInvite", "Org", NONE, NOWHERE, NOWHERE, 0, 0, 0, "", "", "", ""),
    OP(PLATFORM, DELETE, "/orgs/{orgId}/invites/{inviteId}", "deleteOrgInvite", "Org", NONE, NOWHERE, NOWHERE, 0, 0, 0, "", "", "", ""),
    OP(PLATFORM, POST, "/orgs/{orgId}/memberships", "addUserToOrg", "Org", NONE, NOWHERE, NOWHERE, 0, 0, 0, "", "", "", "builderId!"),
    OP(PLATFORM, GET, "/my-info", "getMyInfo", "User", NONE, NOWHERE, NOWHERE, 0, 0, 0, "", "", "", ""),
    OP(PLATFORM, POST, "/invites:accept", "acceptInvite", "User", NONE, NOWHERE, NOWHERE, 0, 0, 0, "", "", "", "invitedEmail!"),
    OP(PLATFORM, GET, "/orgs/{orgId}/billingAccount", "getOrgBillingAccount", "Billing Account", NONE, NOWHERE, NOWHERE, 0, 0, 0, "", "", "", ""),
    OP(PLATFORM, POST, "/billingAccounts/{billingAccountId}/portalSession", "createBillingAccountSession", "Billing Account", NONE, NOWHERE, NOWHERE, 0, 0, 0, "", "", "", "redirectUrl!,timeout"),
    OP(PLATFORM, POST, P "/topics", "createTopic", "Destination", WRITE, PATH, NOWHERE, 0, 0, F(TOPICS), "", "", "", "name!"),
    OP(PLATFORM, GET, P "/topics", "listTopics", "Destination", READ, PATH, NOWHERE, 60, F(TOPICS), 0, "", "", "", ""),
    OP(PLATFORM, PATCH, P "/topics/{topicId}", "updateTopic", "Destination", WRITE, PATH, NOWHERE, 0, 0, F(TOPICS) | F(ROUTES), "", "", "", "name!"),
    OP(PLATFORM, DELETE, P "/topics/{topicId}", "deleteTopic", "Destination", WRITE, PATH, NOWHERE, 0, 0, F(TOPICS) | F(ROUTES), "", "", "", ""),
    OP(PLATFORM, POST, P "/notification-event-topic-routes", "createEventTopicRoute", "Notification", WRITE, PATH, NOWHERE, 0, 0, F(ROUTES), "", "", "", "eventType!,topicId!"),
    OP(PLATFORM, GET, P "/notification-event-topic-routes", "listEventTopicRoutes", "Notification", READ, PATH, NOWHERE, 60, F(ROUTES), 0, "topicId,eventType", "", "", ""),
    OP(PLATFORM, DELETE, P "/notification-event-topic-routes/{routeId}", "deleteEventTopicRoute", "Notification", WRITE, PATH, NOWHERE, 0, 0, F(ROUTES), "", "", "", ""),
    OP(PLATFORM, POST, P "/topic-destination-routes", "createTopicDestinationRoute", "Destination", WRITE, PATH, NOWHERE, 0, 0, F(ROUTES), "", "", "", "topicId!,destinationId!"),
    OP(PLATFORM, GET, P "/topic-destination-routes", "listTopicDestinationRoutes", "Destination", READ, PATH, NOWHERE, 60, F(ROUTES), 0, "topicId,destinationId", "", "", ""),
    OP(PLATFORM, DELETE, P "/topic-destination-routes/{routeId}", "deleteTopicDestinationRoute", "Destination", WRITE, PATH, NOWHERE, 0, 0, F(ROUTES), "", "", "", ""),
    OP(PLATFORM, POST, P "/jwt-keys", "createJWTKey", "JWT Key", SECRETS, PATH, NOWHERE, 0, 0, F(JWT_KEYS), "", "", "", "label!,algorithm!,publicKeyPem!"),
    OP(PLATFORM, GET, P "/jwt-keys", "listJWTKeys", "JWT Key", SECRETS, PATH, NOWHERE, 0, F(JWT_KEYS), 0, "active", "", "", ""),
    OP(PLATFORM, GET, P "/jwt-keys/{keyId}", "getJWTKey", "JWT Key", SECRETS, PATH, NOWHERE, 0, F(JWT_KEYS), 0, "", "", "", ""),
    OP(PLATFORM, PATCH, P "/jwt-keys/{keyId}", "updateJWTKey", "JWT Key", SECRETS, PATH, NOWHERE, 0, 0, F(JWT_KEYS), "", "", "", "updateMask!,jwtKey!"),
    OP(PLATFORM, DELETE, P "/jwt-keys/{keyId}", "deleteJWTKey", "JWT Key", SECRETS, PATH, NOWHERE, 0, 0, F(JWT_KEYS), "", "", "", ""),
    OP(PLATFORM, GET, "/claimed-domains", "checkClaimedDomain", "Org", NONE, NOWHERE, NOWHERE, 0, 0, 0, "domain!", "", "", ""),
    OP(PLATFORM, POST, "/claimed-domains", "claimDomain", "Org", NONE, NOWHERE, NOWHERE, 0, 0, 0, "", "", "", "domain!,parentId!,parentType!"),
    OP(PLATFORM, GET, "/orgs/{orgId}/claimed-domains", "listOrgClaimedDomains", "Org", NONE, NOWHERE, NOWHERE, 0, 0, 0, "", "", "", ""),
    OP(READ, POST, P "/integrations/{integrationId}/objects/{objectName}", "triggerRead", "Read", DATA, PATH, BODY, 0, 0, F(OPERATIONS), "", "", "", "groupRef!,mode!,sinceTimestamp,untilTimestamp"),
    OP(READ, POST, P "/integrations/{integrationId}/installations/{installationId}:pause", "pauseReads", "Read", DATA, PATH, NOWHERE, 0, 0, F(INSTALLATIONS) | F(OPERATIONS), "", "", "", "objects,note"),
    OP(READ, POST, P "/integrations/{integrationId}/installations/{installationId}:unpause", "unpauseReads", "Read", DATA, PATH, NOWHERE, 0, 0, F(INSTALLATIONS) | F(OPERATIONS), "", "", "", "objects,note"),
    OP(READ, POST, P "/integrations/{integrationId}/objects/{objectName}:deliverResults", "deliverResults", "Read", DATA, PATH, BODY, 0, 0, F(OPERATIONS), "", "", "", "groupRef!,pages!"),
    OP(WRITE, POST, P "/integrations/{integrationId}/objects/{objectName}", "writeRecords", "Write", DATA, PATH, BODY, 0, 0, F(OPERATIONS), "", "", "", "groupRef!,type!,mode,retryPolicy,autoBatchPolicy,record,batchPolicy,batch,associations,headers"),
    OP(SEARCH, POST, P "/integrations/{integrationId}", "searchRecords", "Search", DATA, PATH, QUERY, 0, 0, 0, "groupRef!", "", "", "objectName!,fieldFilters!"),
    OP(PLATFORM, POST, P "/groups", "createGroup", "Group", WRITE, PATH, BODY, 0, 0, F(GROUPS), "", "", "", "groupRef!,groupName!"),
    OP(PLATFORM, POST, P "/consumers", "createConsumer", "Consumer", WRITE, PATH, NOWHERE, 0, 0, F(GROUPS), "", "", "", "consumerRef!,consumerName!"),
    OP(PROXY, ANY, "/{path}", "proxyRequest", "Proxy", DATA, HEADER, HEADER, 0, F(PROXY), F(PROXY), "", "", "", ""),
};

#define AMP_TABLE_LEN  (sizeof(amp_table) / sizeof(amp_table[0]))

typedef char  amp_table_fits[AMP_TABLE_LEN <= AMP_OPERATIONS_MAX ? 1 : -1];


static const char *const  amp_api_names[AMP_API_COUNT] = {
    [AMP_API_PLATFORM] = "platform",
    [AMP_API_READ] = "read",
    [AMP_API_WRITE] = "write",
    [AMP_API_SEARCH] = "search",
    [AMP_API_PROXY] = "proxy"
};


static const char *const  amp_api_hosts[AMP_API_COUNT] = {
    [AMP_API_PLATFORM] = "api.withampersand.com",
    [AMP_API_READ] = "read.withampersand.com",
    [AMP_API_WRITE] = "write.withampersand.com",
    [AMP_API_SEARCH] = "search.withampersand.com",
    [AMP_API_PROXY] = "proxy.withampersand.com"
};


static const char *const  amp_method_names[AMP_METHOD_COUNT] = {
    [AMP_METHOD_GET] = "GET",
    [AMP_METHOD_POST] = "POST",
    [AMP_METHOD_PUT] = "PUT",
    [AMP_METHOD_PATCH] = "PATCH",
    [AMP_METHOD_DELETE] = "DELETE",
    [AMP_METHOD_ANY] = "*"
};


/* "none" cannot be granted: amp_class_find() does not find it. */

static const uint32_t  amp_class_timeouts[AMP_CLASS_COUNT] = {
    [AMP_CLASS_CATALOG] = 10000,
    [AMP_CLASS_READ] = 30000,
    [AMP_CLASS_WRITE] = 60000,
    [AMP_CLASS_DATA] = 60000,
    [AMP_CLASS_SECRETS] = 30000
};


static const char *const  amp_class_names[AMP_CLASS_COUNT + 1] = {
    [AMP_CLASS_CATALOG] = "catalog",
    [AMP_CLASS_READ] = "read",
    [AMP_CLASS_WRITE] = "write",
    [AMP_CLASS_DATA] = "data",
    [AMP_CLASS_SECRETS] = "secrets",
    [AMP_CLASS_NONE] = "none"
};


static const char *const  amp_family_names[AMP_FAMILY_COUNT] = {
    [AMP_FAMILY_ALL] = "*",
    [AMP_FAMILY_PROJECTS] = "projects",
    [AMP_FAMILY_INTEGRATIONS] = "integrations",
    [AMP_FAMILY_REVISIONS] = "revisions",
    [AMP_FAMILY_INSTALLATIONS] = "installations",
    [AMP_FAMILY_CONNECTIONS] = "connections",
    [AMP_FAMILY_DESTINATIONS] = "destinations",
    [AMP_FAMILY_PROVIDER_APPS] = "provider-apps",
    [AMP_FAMILY_TOPICS] = "topics",
    [AMP_FAMILY_ROUTES] = "routes",
    [AMP_FAMILY_OPERATIONS] = "operations",
    [AMP_FAMILY_OBJECTS] = "objects",
    [AMP_FAMILY_API_KEYS] = "api-keys",
    [AMP_FAMILY_JWT_KEYS] = "jwt-keys",
    [AMP_FAMILY_GROUPS] = "groups",
    [AMP_FAMILY_PROVIDERS] = "providers",
    [AMP_FAMILY_PROXY] = "proxy"
};


static int amp_word_find(const char *const *words, int n, amp_span_t name);


const amp_operation_t *
amp_operations(size_t *n)
{
    *n = AMP_TABLE_LEN;

    return amp_table;
}


unsigned
amp_operation_index(const amp_operation_t *op)
{
    return (unsigned) (op - amp_table);
}


const amp_operation_t *
amp_operation_find(amp_span_t id)
{
    size_t  i;

    for (i = 0; i < AMP_TABLE_LEN; i++) {
        if (amp_span_eq(amp_span_make(amp_table[i].id,
                                      strlen(amp_table[i].id)), id))
        {
            return &amp_table[i];
        }
    }

    return NULL;
}


uint32_t
amp_class_timeout(amp_class_e class)
{
    return amp_class_timeouts[class];
}


const char *
amp_api_name(amp_api_e api)
{
    return amp_api_names[api];
}


int
amp_api_find(amp_span_t name)
{
    return amp_word_find(amp_api_names, AMP_API_COUNT, name);
}


const char *
amp_api_host(amp_api_e api)
{
    return amp_api_hosts[api];
}


const char *
amp_method_name(amp_method_e method)
{
    return amp_method_names[method];
}


const char *
amp_class_name(amp_class_e class)
{
    return amp_class_names[class];
}


int
amp_class_find(amp_span_t name)
{
    return amp_word_find(amp_class_names, AMP_CLASS_COUNT, name);
}


const char *
amp_family_name(amp_family_e family)
{
    return amp_family_names[family];
}


int
amp_family_find(amp_span_t name)
{
    return amp_word_find(amp_family_names, AMP_FAMILY_COUNT, name);
}


static int
amp_word_find(const char *const *words, int n, amp_span_t name)
{
    int  i;

    for (i = 0; i < n; i++) {
        if (amp_span_eq(amp_span_make(words[i], strlen(words[i])), name)) {
            return i;
        }
    }

    return -1;
}
