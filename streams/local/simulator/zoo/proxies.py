"""Reverse proxies, load balancers, caches and API gateways."""

from __future__ import annotations

from streams.local.simulator.calls import Call
from streams.local.simulator.zoo.entry import DOCUMENTS, HTML, JSON, LOOKED_UP, TEXT, Entry, nginx_page, path_of, said

_NGINX = {"Server": "nginx"}
_NGINX_SOURCE = "nginx, src/http/ngx_http_special_response.c"
_HAPROXY_SOURCE = "HAProxy, src/http.c"
_KONG_SOURCE = "Kong, kong/pdk/response.lua"
_ENVOY = {"Server": "envoy"}


def _apache_not_found_page(call: Call) -> bytes:
    return (
        '<!DOCTYPE HTML PUBLIC "-//IETF//DTD HTML 2.0//EN">\n<html><head>\n<title>404 Not '
        "Found</title>\n</head><body>\n"
        f"<h1>Not Found</h1>\n<p>The requested URL {path_of(call)} was not found on this server.</p>\n"
        "</body></html>\n"
    ).encode()


def _varnish_page(title: str) -> bytes:
    return (
        f"<!DOCTYPE html>\n<html>\n  <head>\n    <title>{title}</title>\n  </head>\n  <body>\n    <h1>Error "
        f"{title}</h1>\n"
        "    <h3>Guru Meditation:</h3>\n    <p>XID: 32770</p>\n    <hr>\n    <p>Varnish cache server</p>\n  "
        "</body>\n</html>\n"
    ).encode()


ENTRIES = (
    Entry("nginx_404", "nginx", _NGINX_SOURCE, 404, nginx_page("404 Not Found", "nginx"), headers=_NGINX),
    Entry("nginx_403", "nginx", _NGINX_SOURCE, 403, nginx_page("403 Forbidden", "nginx"), headers=_NGINX),
    Entry("nginx_405", "nginx", _NGINX_SOURCE, 405, nginx_page("405 Not Allowed", "nginx"), headers=_NGINX),
    Entry("nginx_413", "nginx", _NGINX_SOURCE, 413, nginx_page("413 Request Entity Too Large", "nginx"),
          headers=_NGINX),
    Entry("nginx_401_basic", "nginx", _NGINX_SOURCE, 401, nginx_page("401 Authorization Required", "nginx"),
          headers=_NGINX | {"WWW-Authenticate": 'Basic realm="restricted"'}),
    Entry("nginx_cookie_too_large", "nginx", _NGINX_SOURCE, 400,
          nginx_page("400 Request Header Or Cookie Too Large", "nginx"), headers=_NGINX),
    Entry("nginx_http_on_https_port", "nginx", _NGINX_SOURCE, 400,
          nginx_page("400 The plain HTTP request was sent to HTTPS port", "nginx"), headers=_NGINX),
    Entry("nginx_504", "nginx", _NGINX_SOURCE, 504, nginx_page("504 Gateway Time-out", "nginx"), headers=_NGINX),
    Entry("apache_404", "Apache httpd", "Apache httpd, modules/http/http_protocol.c", 404, _apache_not_found_page,
          "text/html; charset=iso-8859-1", {"Server": "Apache"}),
    Entry("apache_proxy_502", "Apache httpd", "Apache httpd, modules/proxy/proxy_util.c", 502,
          b"<h1>Proxy Error</h1>The proxy server received an invalid\nresponse from an upstream server.<br />\n",
          "text/html; charset=iso-8859-1", {"Server": "Apache"}),
    Entry("haproxy_400", "HAProxy", _HAPROXY_SOURCE, 400,
          b"<html><body><h1>400 Bad request</h1>\nYour browser sent an invalid request.\n</body></html>\n", "text/html",
          {"Cache-Control": "no-cache"}),
    Entry("haproxy_503", "HAProxy", _HAPROXY_SOURCE, 503,
          b"<html><body><h1>503 Service Unavailable</h1>\nNo server is available to handle this "
          b"request.\n</body></html>\n",
          "text/html", {"Cache-Control": "no-cache"}),
    Entry("envoy_503", "Envoy", "Envoy, source/common/router/router.cc", 503,
          b"upstream connect error or disconnect/reset before headers. reset reason: connection termination",
          "text/plain",
          _ENVOY),
    Entry("envoy_no_route", "Envoy", "Envoy, source/common/router/router.cc: a 404 without a body", 404, b"",
          "text/plain",
          _ENVOY),
    Entry("envoy_jwt", "Envoy", "Envoy, source/extensions/filters/http/jwt_authn", 401, b"Jwt is missing", "text/plain",
          _ENVOY | {"WWW-Authenticate": 'Bearer realm="api"'}),
    Entry("envoy_ratelimited", "Envoy", "Envoy, source/extensions/filters/http/local_ratelimit", 429,
          b"local_rate_limited", "text/plain", _ENVOY | {"x-envoy-ratelimited": "true"}),
    Entry("istio_rbac", "Istio", "Envoy, source/extensions/filters/http/rbac", 403, b"RBAC: access denied",
          "text/plain",
          {"Server": "istio-envoy"}),
    Entry("traefik_404", "Traefik", "Traefik, pkg/server/router; Go, net/http NotFound", 404, b"404 page not found\n",
          TEXT,
          {"X-Content-Type-Options": "nosniff"}),
    Entry("traefik_502", "Traefik", "Traefik, pkg/proxy/httputil", 502, b"Bad Gateway", "text/plain"),
    Entry("go_bad_request", "Go net/http", "Go, net/http/server.go", 400,
          b"400 Bad Request: missing required Host header", TEXT),
    Entry("kubernetes_default_backend", "Kubernetes", "ingress-nginx, test/e2e/defaultbackend", 404,
          b"default backend - 404", TEXT),
    Entry("kubernetes_status", "Kubernetes", "Kubernetes, apimachinery/pkg/apis/meta/v1 Status", 404,
          said({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message":
                "the server could not find the requested resource", "reason": "NotFound", "details": {}, "code": 404}),
          JSON),
    Entry("varnish_503", "Varnish", "Varnish, bin/varnishd/builtin.vcl", 503, _varnish_page("503 Backend fetch failed"),
          headers={"X-Varnish": "32770", "Via": "1.1 varnish (Varnish/6.0)", "Retry-After": "5", "Age": "0"}),
    Entry("varnish_stale_not_held", "Varnish", "Varnish, doc/reference/vcl: grace, an old object is handed out", 404,
          said({"code": 404, "mess": "Không tìm thấy dữ liệu"}), JSON,
          {"X-Varnish": "98305 32772", "Age": "86400", "X-Cache": "HIT"}, LOOKED_UP, look_alike=True),
    Entry("squid_denied", "Squid", "Squid, errors/templates/ERR_ACCESS_DENIED", 403,
          b"<!DOCTYPE html><html><head><title>ERROR: The requested URL could not be retrieved</title></head><body>"
          b"<h1>ERROR</h1><p><b>Access Denied.</b></p></body></html>", "text/html;charset=utf-8",
          {"Server": "squid/4.6", "X-Squid-Error": "ERR_ACCESS_DENIED 0", "X-Cache": "MISS from localhost"}),
    Entry("squid_invalid_request", "Squid", "Squid, errors/templates/ERR_INVALID_REQ", 400,
          b"<!DOCTYPE html><html><head><title>ERROR: The requested URL could not be retrieved</title></head><body>"
          b"<p><b>Invalid Request</b> error was encountered.</p></body></html>", "text/html;charset=utf-8",
          {"Server": "squid/4.6", "X-Squid-Error": "ERR_INVALID_REQ 0"}),
    Entry("squid_stale_record", "Squid", "Squid, refresh_pattern with override-expire", 200,
          lambda call: said(_record_of(call)), JSON,
          {"Age": "259200", "X-Cache": "HIT from proxy", "Warning": '110 squid "Response is stale"'}, LOOKED_UP,
          look_alike=True),
    Entry("kong_no_route", "Kong", _KONG_SOURCE, 404, said({"message": "no Route matched with those values"}), JSON,
          {"Server": "kong/3.0.0"}, look_alike=True),
    Entry("kong_no_key", "Kong", "Kong, kong/plugins/key-auth/handler.lua", 401,
          said({"message": "No API key found in request"}), JSON, {"WWW-Authenticate": 'Key realm="kong"'},
          look_alike=True),
    Entry("kong_rate_limit", "Kong", "Kong, kong/plugins/rate-limiting/handler.lua", 429,
          said({"message": "API rate limit exceeded"}), JSON, {"Retry-After": "37", "RateLimit-Remaining": "0"}),
    Entry("kong_bad_request", "Kong", _KONG_SOURCE, 400,
          said({"message": "Bad request", "request_id": "7e1ae44b1e8a2d0d62ca1c4c5f5f7a62"}), JSON),
    Entry("kong_size_limit", "Kong", "Kong, kong/plugins/request-size-limiting/handler.lua", 413,
          said({"message": "Request size limit exceeded"}), JSON),
    Entry("apisix_no_route", "Apache APISIX", "APISIX, t/node/not-exist-upstream.t", 404,
          said({"error_msg": "404 Route Not Found"}), TEXT, {"Server": "APISIX/2.10.1"}),
    Entry("apisix_bad_key", "Apache APISIX", "APISIX, apisix/plugins/key-auth.lua", 401,
          said({"message": "Missing API key in request"}), JSON, {"Server": "APISIX/3.2.0"}, look_alike=True),
    Entry("tyk_proxy_trouble", "Tyk", "Tyk, internal/graphengine and gateway/reverse_proxy.go", 500,
          said({"error": "There was a problem proxying the request"}), JSON),
    Entry("tyk_disallowed", "Tyk", "Tyk, gateway/mw_auth_key.go", 403,
          said({"error": "Access to this API has been disallowed"}), JSON),
    Entry("wso2_inactive", "WSO2 API Manager", "WSO2, product-apim fault sequences", 404,
          said({"code": "404", "type": "Status report", "message": "Not Found",
                "description": "The requested resource is not available."}), JSON, calls=DOCUMENTS),
    Entry("spring_cloud_gateway_404", "Spring Cloud Gateway", "Spring Boot, DefaultErrorAttributes", 404,
          lambda call: said({"timestamp": "2026-03-01T10:00:00.000+00:00", "path": path_of(call), "status": 404,
                             "error": "Not Found", "requestId": "9a1f5b6c-1"}), JSON),
    Entry("traffic_server_400", "Apache Traffic Server", "Traffic Server, proxy/config/body_factory/default", 400,
          b"<HTML><HEAD><TITLE>Bad Request</TITLE></HEAD><BODY><H1>Bad Request</H1>"
          b"Description: Could not process this request.</BODY></HTML>", HTML, {"Server": "ATS/9.2.0"}),
)  # fmt: skip


def _record_of(call: Call) -> dict[str, object]:
    """Our own document, as it once was: a cache may show it long after it was withdrawn or replaced."""
    assert call.kind is not None  # noqa: S101 - such an entry fits no log-in
    return {
        call.kind.document_code_field: call.code,
        "ma_co_so": call.ma_co_so,
        call.kind.national_id_field: f"{call.kind.id_prefix}00009999",
    }
