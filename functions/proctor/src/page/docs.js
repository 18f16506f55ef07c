// Shows the operations of this server's own document, and sends what is tried with the password or key that was given.
"use strict";

(async () => {
  const place = document.getElementById("operations");
  const { api, token } = place.dataset;
  const answer = await fetch("/openapi.json");
  if (!answer.ok) {
    place.textContent = `The document of the operations can't be read: ${answer.status} ${answer.statusText}`;
    return;
  }
  const spec = await answer.json();
  // The document at the root does not say where the operations are, as Prefect's does not.
  spec.servers = [{ url: api }];
  spec.components.securitySchemes = {
    password: { type: "http", scheme: "basic", description: "What PREFECT_SERVER_API_AUTH_STRING has." },
    key: { type: "http", scheme: "bearer", description: "An API key, as `proctor keys` makes them." },
  };
  spec.security = [{ password: [] }, { key: [] }];

  // With CSRF protection, what writes carries a token that was asked for before.
  const client = crypto.getRandomValues(new Uint32Array(4)).join("-");
  const withToken = async (request) => {
    if (token === "true" && !["GET", "HEAD", "OPTIONS"].includes(request.method ?? "GET")) {
      const authorization = request.headers.Authorization ?? request.headers.authorization;
      const headers = authorization ? { Authorization: authorization } : {};
      const given = await fetch(`${api}/csrf-token?client=${client}`, { headers });
      if (given.ok) {
        request.headers["Prefect-Csrf-Client"] = client;
        request.headers["Prefect-Csrf-Token"] = (await given.json()).token;
      }
    }
    return request;
  };
  SwaggerUIBundle({
    spec,
    domNode: place,
    deepLinking: true,
    filter: true,
    requestInterceptor: withToken,
    // Otherwise it asks a server of its makers whether the document is valid.
    validatorUrl: null,
  });
})();
