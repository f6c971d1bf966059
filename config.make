# nginx's auto/make runs this: the headers of the Lua scripts and of the live page
# are made with the module, and anew when a script or a part of the page changes.

cat << END                                                    >> $NGX_MAKEFILE

$NGX_OBJS/amp_script_text.h:	$(echo $ngx_addon_dir/tools/lua-header \
                                       $ngx_addon_dir/src/core/*.lua)
	$ngx_addon_dir/tools/lua-header \$@ $(echo $ngx_addon_dir/src/core/*.lua)

$NGX_OBJS/ngx_http_ampersand_page_text.h:	$(echo \
        $ngx_addon_dir/tools/page-header $ngx_addon_dir/src/page/page.* \
        $ngx_addon_dir/src/page/uplot/*)
	$ngx_addon_dir/tools/page-header \$@ $ngx_addon_dir/src/page

END
